#!/bin/sh
# Installs what is measured beside Keyrack: gateways from the distribution, packages of npm and PyPI below this directory.
# What cannot be had is named, and left out of the comparison.
set -u
cd "$(dirname "$0")" || exit 1

missing=""
for tool in haproxy nginx caddy; do
    command -v "$tool" >/dev/null 2>&1 || [ -x "/usr/sbin/$tool" ] || missing="$missing $tool"
done
if [ -n "$missing" ] && command -v apt-get >/dev/null 2>&1; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -qq
    # One by one: one that is not there keeps no other away.
    for tool in $missing; do
        [ "$tool" = nginx ] && tool=nginx-light
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$tool" >/dev/null || echo "missing: $tool" >&2
    done
elif [ -n "$missing" ]; then
    echo "missing:$missing" >&2
fi

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error || echo "missing: Express and better-auth" >&2
fi

if [ ! -d python ] || [ requirements.txt -nt python ]; then
    rm -rf python
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target python -r requirements.txt 2>/dev/null ||
        echo "missing: FastAPI and Django REST framework" >&2
fi
