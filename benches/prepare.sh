#!/usr/bin/env bash
# What measuring needs and what does not change from one time to the next: wrk, other people's programs, and databases with a
# million rows, filled at the same time. `benches/prepare.sh KEYRACK [PART…]`; takes minutes once, and nothing after that.
set -uo pipefail
cd "$(dirname "$0")/.."
keyrack=$(realpath "$1")
parts=" ${*:2} "
[ $# -gt 1 ] || parts=" peers growth lists "
data=${DATA_DIR:-target/bench-data}
mkdir -p "$data"
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
command -v wrk >/dev/null || { $sudo apt-get update -qq && $sudo apt-get install -qq -y wrk >/dev/null; }
case "$parts" in *" peers "*) benches/load/peers/install.sh & ;; esac
case "$parts" in *" lists "*) DATA="$data/lists" python3 benches/lists.py "$keyrack" --fill & ;; esac
case "$parts" in *" growth "* | *" footprint "*) python3 benches/growth.py "$keyrack" --fill "$data/growth" & ;; esac
wait
# A start that brings an older database up to date would count as a slow one.
for database in "$data"/lists/keyrack.db "$data"/growth/*/keyrack.db; do
    [ ! -e "$database" ] || "$keyrack" --data "$(dirname "$database")" --yes -q migrate >/dev/null
done
