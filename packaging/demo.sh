#!/usr/bin/env bash
# A server on scratch data: a known admin, sample accounts, users, keys, and a minute of traffic. Ctrl+C ends it and
# removes the data.
set -euo pipefail
keyrack=${1:-target/release/keyrack}
data=$(mktemp -d -t keyrack-demo.XXXXXX)
listen=${LISTEN:-127.0.0.1:8080}
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$data"' EXIT

ours() { "$keyrack" --data "$data/db" --quiet --yes --json "$@"; }
field() { sed -nE "s/.*\"$1\": *\"([^\"]*)\".*/\1/p" | head -n 1; }

printf 'keyrack-demo' | ours admin create --email admin@example.com --name "Ada Lovelace" --password-file - >/dev/null
for account in "Acme Corp:Pro" "Globex:Enterprise" "Initech:Free"; do
    ours account add "${account%:*}" --tier "${account#*:}" >/dev/null
done
people=("Grace Hopper:grace:Acme Corp" "Alan Turing:alan:Acme Corp" "Katherine Johnson:katherine:Globex"
    "Edsger Dijkstra:edsger:Globex" "Barbara Liskov:barbara:Initech" "Donald Knuth:donald:Initech")
for person in "${people[@]}"; do
    IFS=: read -r name local account <<<"$person"
    ours user add --email "$local@example.com" --name "$name" --account "$account" >/dev/null
done
secrets=()
for key in "billing-worker:grace:90d" "mobile-backend:katherine:365d" "nightly-export:alan:30d" "staging-ci:barbara:7d" "grafana-probe:edsger:90d"; do
    IFS=: read -r name owner expires <<<"$key"
    secrets+=("$(ours key create "$name" --owner "$owner@example.com" --scope users:read --expires "$expires" | field secret)")
done
crm=$(ours key create "crm-sync" --owner grace@example.com --scope users:read --scope users:write | field id)
ours key rotate "$crm" --overlap 24h >/dev/null
old=$(ours key create "old-monolith" --owner donald@example.com | field id)
ours key disable "$old" >/dev/null

(
    sleep 2
    for _ in $(seq 60); do
        for secret in "${secrets[@]}"; do
            curl -s -o /dev/null -H "Authorization: Bearer $secret" "http://$listen/v1/users?limit=5" || true
        done
        curl -s -o /dev/null "http://$listen/v1/users" || true
        sleep 1
    done
) &

echo "Sign in at http://$listen/ as admin@example.com with the password keyrack-demo" >&2
"$keyrack" --data "$data/db" serve --listen "$listen"
