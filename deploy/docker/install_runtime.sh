#!/bin/sh
# The shared libraries that a process needs at run time, from Debian's packages: install_runtime.sh router|worker
set -eu
common="libgrpc++1.51 libprotobuf32 libprometheus-cpp-core1.0 libprometheus-cpp-pull1.0 libsimdjson14 libxxhash0 libssl3"
case ${1-} in
  router) packages="$common libutf8proc2" ;;
  worker) packages="$common" ;;
  *) echo "usage: install_runtime.sh router|worker" >&2; exit 2 ;;
esac
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# Word splitting makes the list.
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
