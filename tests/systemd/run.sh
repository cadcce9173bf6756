#!/bin/sh
# Starts a real systemd in a container of its own network, on a copy of the file system that is thrown away, and runs
# inside.py there. `make test-systemd` builds what it needs.
set -eu
cd "$(dirname "$0")/../.."
root="${KEYRACK_ROOTFS:-/var/tmp/keyrack-systemd-rootfs}"
program="${KEYRACK:-target/debug/keyrack}"
results="$(mktemp -d)"
trap 'rm -rf "$results"' EXIT
cp "$program" "$results/keyrack"
cp tests/systemd/inside.py "$results/"
find target/debian -name '*.deb' -exec cp {} "$results/keyrack.deb" \; 2>/dev/null || true

timeout 600 systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --volatile=overlay --private-network \
    --bind="$results:/test" --boot systemd.run=/test/inside.py systemd.run_success_action=exit-force \
    systemd.run_failure_action=exit-force >"$results/console" 2>&1 || true
cat "$results/log" 2>/dev/null || cat "$results/console"
[ "$(cat "$results/result" 2>/dev/null)" = passed ]
