#!/bin/sh
# What the packages hold besides the program, made by it: units with its place, manual page, completions. Then the packages.
set -eu
cd "$(dirname "$0")/.."
made=target/package
rm -rf "$made" target/debian target/generate-rpm
mkdir -p "$made/units"
cp "${KEYRACK:-target/dist/keyrack}" "$made/keyrack"
sed 's,/usr/local/bin/keyrack,/usr/bin/keyrack,' packaging/systemd/keyrack.service >"$made/units/keyrack.service"
cp packaging/systemd/keyrack.socket "$made/units/keyrack.socket"
"$made/keyrack" man | gzip -9nc >"$made/keyrack.1.gz"
"$made/keyrack" completions bash >"$made/keyrack.bash"
"$made/keyrack" completions zsh >"$made/_keyrack"
"$made/keyrack" completions fish >"$made/keyrack.fish"
gzip -9nc CHANGELOG.md >"$made/changelog.gz"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
made_at="$(date -Ru -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")"
gzip -9nc >"$made/changelog.Debian.gz" <<END
keyrack ($version-1) stable; urgency=medium

  * What changed is in changelog.gz.

 -- The Keyrack authors <keyrack@example.com>  $made_at
END
cargo deb --quiet --no-build --no-strip
cargo generate-rpm
ls target/debian/*.deb target/generate-rpm/*.rpm
