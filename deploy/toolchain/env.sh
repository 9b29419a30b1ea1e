# shellcheck shell=bash
# Sourced by the project's scripts: where fetched tools live, and a PATH that finds them first.
# BANYAN_CACHE can be set to another folder; everything in it can be deleted and is fetched again.
export BANYAN_CACHE="${BANYAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/banyan}"
export BANYAN_MODEL_DIR="${BANYAN_MODEL_DIR:-$BANYAN_CACHE/models}"
export PATH="$BANYAN_CACHE/bin:$BANYAN_CACHE/venv/bin:$PATH"
