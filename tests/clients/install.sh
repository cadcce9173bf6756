#!/bin/sh
# Installs the published clients that the tests run against a real server, all of it below this directory and target/.
set -eu
cd "$(dirname "$0")"

for tool in node npm python3; do
    command -v "$tool" >/dev/null 2>&1 || { echo "Install $tool: the client tests run it." >&2; exit 1; }
done

# One of the webhook receivers is written in PHP: run where it is installed or can be.
if ! command -v php >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends php-cli >/dev/null 2>&1 || true
fi

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi

if [ ! -d python ] || [ requirements.txt -nt python ]; then
    rm -rf python
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-compile --target python -r requirements.txt
fi

${CARGO:-cargo} build --quiet --locked --manifest-path rust/Cargo.toml --target-dir ../../target/clients
