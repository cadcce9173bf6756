#!/bin/sh
# Installs the scanners where this machine lacks them: three from the distribution, sslyze from PyPI.
set -eu
cd "$(dirname "$0")/../.."

missing=""
for tool in wapiti sqlmap slowhttptest; do
    command -v $tool >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
fi
[ -x target/scan/python/bin/sslyze ] || {
    mkdir -p target/scan
    python3 -m venv target/scan/python
    target/scan/python/bin/pip install --quiet sslyze==6.3.1
}
