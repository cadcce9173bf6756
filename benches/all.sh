#!/usr/bin/env bash
# Everything that is measured, one after the other, and the document and drawing of it: `benches/all.sh KEYRACK BARE OUTDIR [PART…]`.
# PACE=short (minutes, for a try), usual (16 minutes on a quiet machine) or long. What fails is named; the rest goes on.
# The large databases are filled once, into target/bench-data (DATA_DIR), by `benches/prepare.sh KEYRACK`.
set -uo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 3 ] || { echo "usage: benches/all.sh KEYRACK BARE OUTDIR [PART...]" >&2; exit 2; }
keyrack=$(realpath "$1") bare=$(realpath "$2")
mkdir -p "$3" && out=$(realpath "$3")
shift 3
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(requests peers growth footprint work lists instructions)
rm -f "$out/failed"

case "${PACE:-usual}" in
    short) rounds=1 length=1 pages=5 most=600 ;;
    usual) rounds=5 length=3 pages=20 most=600 ;;
    long) rounds=9 length=5 pages=40 most=1800 ;;
    *) echo "PACE is short, usual or long" >&2; exit 2 ;;
esac
export ROUNDS=${ROUNDS:-$rounds} SECONDS_EACH=${SECONDS_EACH:-$length}
# Fewer and shorter rounds for what has no neighbours that it could be mistaken for: the time goes where figures lie close together.
fewer=$(((ROUNDS + 1) / 2)) shorter=$(((SECONDS_EACH * 2 + 2) / 3))
data=${DATA_DIR:-target/bench-data}
# Every connection is a file, on both sides.
ulimit -n "$(ulimit -Hn)"
benches/prepare.sh "$keyrack" "${parts[@]}"

part() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    rm -f "$out/$name.json"
    timeout --signal=INT --kill-after=30 "$most" "$@" > >(tee "$out/$name.txt") || { echo "$name ended with $?" >&2; echo "$name" >> "$out/failed"; }
    echo "== $name: $((SECONDS - began)) s"
}

for name in "${parts[@]}"; do
    case "$name" in
        requests) part requests python3 benches/load/run.py "$keyrack" "$bare" "$out" ;;
        peers) part peers python3 benches/peers.py "$keyrack" "$bare" "$out" ;;
        growth) PREPARED=$data/growth ROUNDS=$fewer SECONDS_EACH=$shorter part growth python3 benches/growth.py "$keyrack" "$bare" "$out" ;;
        footprint) PREPARED=$data/growth SECONDS_EACH=$shorter part footprint python3 benches/footprint.py "$keyrack" "$bare" "$out" ;;
        work) ROUNDS=$fewer SECONDS_EACH=$shorter part work python3 benches/work.py "$keyrack" "$bare" "$out" ;;
        lists) DATA=$data/lists ROUNDS=$pages OUT=$out part lists python3 benches/lists.py "$keyrack" ;;
        instructions) OUT=$out part instructions python3 benches/instructions.py "$keyrack" "$bare" ;;
        *) echo "no such part: $name" >&2; exit 2 ;;
    esac
done
python3 benches/document.py "$out"
echo "measured in $SECONDS s: docs/BENCHMARKS.md, docs/benchmarks.json, docs/benchmarks.svg"
[ ! -e "$out/failed" ]
