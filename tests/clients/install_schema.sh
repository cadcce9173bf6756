#!/bin/sh
# Installs what holds the server against its OpenAPI document, below this directory.
set -eu
cd "$(dirname "$0")"

for tool in node npm python3; do
    command -v "$tool" >/dev/null 2>&1 || { echo "Install $tool: the tests of the OpenAPI document run it." >&2; exit 1; }
done

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi

# Apart from the clients' packages, whose versions it must not choose.
if [ ! -d schemathesis ] || [ requirements-schema.txt -nt schemathesis ]; then
    rm -rf schemathesis
    python3 -m venv schemathesis
    schemathesis/bin/pip install --quiet --disable-pip-version-check -r requirements-schema.txt
fi
