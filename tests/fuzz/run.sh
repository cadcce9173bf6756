#!/bin/sh
# Runs every fuzz target for SECONDS, or those that are named, and prints a table. What they learn stays in target/fuzz; an
# input that breaks a parser is written to target/fuzz/found, and belongs into seeds/ with the mend.
set -u
cd "$(dirname "$0")/../.."
fuzz="cargo +nightly fuzz"
seconds=${SECONDS_EACH:-${SECONDS:-60}}
targets=${*:-$($fuzz list --fuzz-dir tests/fuzz)}
$fuzz build --fuzz-dir tests/fuzz --target-dir target/fuzz || exit 1
failed=0
echo "| parser | tries | result |"
echo "|---|---|---|"
for target in $targets; do
    mkdir -p "target/fuzz/learned/$target" "target/fuzz/found"
    $fuzz run "$target" --fuzz-dir tests/fuzz --target-dir target/fuzz "target/fuzz/learned/$target" "tests/fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/found/$target-" >"target/fuzz/$target.log" 2>&1
    status=$?
    tries=$(sed -n 's/^stat::number_of_executed_units: *//p' "target/fuzz/$target.log")
    reached=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "target/fuzz/$target.log" | tail -1)
    if [ $status = 0 ]; then result="holds, $reached places of the code reached"; else result="BROKEN: target/fuzz/$target.log"; failed=1; fi
    echo "| $target | ${tries:-?} | $result |"
done
exit $failed
