#!/usr/bin/env bash
# What a request costs beside a bare handler: `make bench`, which builds both. One server core, one client core, rounds taken in turn.
# ROUNDS and SECONDS_EACH in the environment make it longer.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || { apt-get update -qq && apt-get install -qq -y wrk >/dev/null; }
exec python3 benches/load/run.py target/dist/keyrack target/dist/examples/bare
