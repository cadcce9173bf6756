#!/bin/sh
# What the packages hold besides the program, made by it: units with its place, completions. Then the packages.
set -eu
cd "$(dirname "$0")/.."
program=target/dist/keyrack
made=target/package
rm -rf "$made" target/debian
mkdir -p "$made/units"
sed 's,/usr/local/bin/keyrack,/usr/bin/keyrack,' packaging/systemd/keyrack.service >"$made/units/keyrack.service"
cp packaging/systemd/keyrack.socket "$made/units/keyrack.socket"
"$program" completions bash >"$made/keyrack.bash"
"$program" completions zsh >"$made/_keyrack"
"$program" completions fish >"$made/keyrack.fish"
gzip -9nc CHANGELOG.md >"$made/changelog.gz"
cargo deb --quiet --no-build --profile dist
cargo generate-rpm --profile dist
ls target/debian/*.deb target/generate-rpm/*.rpm
