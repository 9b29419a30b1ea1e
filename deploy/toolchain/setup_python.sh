#!/usr/bin/env bash
# Makes the virtual environment of requirements.txt in the cache folder. Does nothing when it is there already.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=deploy/toolchain/env.sh
source "$here/env.sh"

venv=$BANYAN_CACHE/venv
stamp=$(sha256sum <"$here/requirements.txt")
[[ ! -f $venv/.stamp || $(<"$venv/.stamp") != "$stamp" ]] || exit 0
echo "setup_python: installing $(grep -c '==' "$here/requirements.txt") packages into $venv"
rm -rf "$venv"
mkdir -p "$BANYAN_CACHE"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
printf '%s' "$stamp" >"$venv/.stamp"
