#!/bin/sh
# A minimal Debian to start real systemd in, made once, and what starts it. Needs root.
set -eu
root="${KEYRACK_ROOTFS:-/var/tmp/keyrack-systemd-rootfs}"

if [ "$(id -u)" != 0 ]; then
    echo "make test-systemd starts a container: run it as root" >&2
    exit 1
fi
missing=""
command -v systemd-nspawn >/dev/null 2>&1 || missing="$missing systemd-container"
command -v debootstrap >/dev/null 2>&1 || missing="$missing debootstrap"
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi
if [ ! -x "$root/usr/bin/python3" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,python3,init-system-helpers \
        stable "$root" >"$root.log" 2>&1 || { cat "$root.log" >&2; exit 1; }
fi
