#!/usr/bin/env bash
# Installs the Debian packages that sherd needs. With --tests also those of the test clients, with --lint and
# --fuzz those of scripts/lint.sh and scripts/fuzz.sh, with --chaos those of test/chaos (docs/CHAOS.md), with
# --hosts those of test/hosts.
# Needs root, or a user with sudo. Does nothing when all are there.
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config ccache protobuf-compiler protobuf-c-compiler
       libgrpc-dev libprotobuf-c-dev libraft-dev libuv1-dev libleveldb-dev libpg-query-dev
       libboost-context-dev libyaml-dev libssl-dev libgmp-dev libpcre2-dev libmicrohttpd-dev
       libedit-dev uthash-dev libxxhash-dev libcmocka-dev python3)
tests=(ansible-core iproute2 nftables postgresql-client-15 postgresql-contrib postgresql-15 python3-psycopg2 python3-grpcio python3-protobuf sysbench
       python3-sqlalchemy libpostgresql-jdbc-java openjdk-17-jdk-headless)
lint=(clang-format clang-tidy cppcheck)
fuzz=(clang libclang-rt-14-dev)
chaos=(e2fsprogs util-linux fiu-utils faketime)
hosts=(ansible-core systemd-container debootstrap openssh-client iproute2 nftables python3-psycopg2 postgresql-client-15)

want=("${build[@]}")
for arg in "$@"; do
    case $arg in
    --tests) want+=("${tests[@]}") ;;
    --lint) want+=("${lint[@]}") ;;
    --fuzz) want+=("${fuzz[@]}") ;;
    --chaos) want+=("${chaos[@]}") ;;
    --hosts) want+=("${hosts[@]}") ;;
    *) echo "usage: $0 [--tests] [--lint] [--fuzz] [--chaos] [--hosts]" >&2; exit 2 ;;
    esac
done

missing=()
for p in "${want[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "missing packages: ${missing[*]} (run as root, or install sudo)" >&2; exit 1; }
    sudo=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A packaged PostgreSQL would make and start a cluster of its own; the tests start theirs by hand.
if printf '%s\n' "${missing[@]}" | grep -qx postgresql-15; then
    "${sudo[@]}" mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
