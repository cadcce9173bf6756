#!/bin/sh
# Installs the scanners where this machine lacks them: two from the distribution, two from PyPI, each by itself.
set -eu
cd "$(dirname "$0")/../.."

missing=""
for tool in sqlmap slowhttptest; do
    command -v $tool >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
fi
for tool in sslyze==6.3.1 wapiti3==3.2.3; do
    place="target/scan/python/${tool%==*}"
    [ -d "$place/ready" ] || {
        mkdir -p target/scan/python
        python3 -m venv "$place"
        "$place/bin/pip" install --quiet "$tool"
        mkdir "$place/ready"
    }
done
