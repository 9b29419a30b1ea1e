#!/usr/bin/env bash
# Runs a command with the fetched tools and the Python environment in front: with_env.sh COMMAND [ARGUMENT ...]
set -euo pipefail
# shellcheck source=deploy/toolchain/env.sh
source "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/env.sh"
exec "$@"
