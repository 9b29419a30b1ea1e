#!/usr/bin/env bash
# Starts a cluster with the default model in the background and asks it something, or stops it.
#
#   run_cluster.sh start     needs a release build; leaves the cluster up and prints its addresses
#   run_cluster.sh stop      drains and ends it
#
# BANYAN_WORKERS (default 2) workers; BANYAN_LISTEN (default 127.0.0.1:7070) as in `banyan serve`.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
# shellcheck source=deploy/toolchain/env.sh
source "$root/deploy/toolchain/env.sh"

banyan=${BANYAN_BIN:-$root/build/release/cli/banyan}
state=$BANYAN_CACHE/run
pid_file=$state/serve.pid
START_SECONDS=180
STOP_SECONDS=60

running() { [[ -f $pid_file ]] && kill -0 "$(<"$pid_file")" 2>/dev/null; }

start() {
  if running; then
    echo "A cluster is up already (make stop ends it); its addresses are in $state/cluster.json"
    return
  fi
  mkdir -p "$state"
  rm -f "$state"/cluster.json "$state"/*.log
  setsid nohup "$banyan" serve --workers "${BANYAN_WORKERS:-2}" --listen "${BANYAN_LISTEN:-127.0.0.1:7070}" \
    --state-dir "$state" >"$state/serve.out" 2>&1 </dev/null &
  echo $! >"$pid_file"
  for ((i = 0; i < START_SECONDS * 5; i++)); do
    [[ ! -f $state/cluster.json ]] || break
    if ! running; then
      cat "$state/serve.out" >&2
      rm -f "$pid_file"
      return 1
    fi
    sleep 0.2
  done
  cat "$state/serve.out"
  local address question="What is the capital of France?"
  address=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["router"]["grpc"])' "$state/cluster.json")
  echo "> $question"
  "$banyan" chat --address "$address" --temperature 0 --max-tokens 64 --message "$question"
  echo
  echo "The cluster stays up; make stop ends it."
}

stop() {
  if ! running; then
    echo "No cluster is up."
    rm -f "$pid_file"
    return
  fi
  local pid
  pid=$(<"$pid_file")
  kill -TERM "$pid"
  for ((i = 0; i < STOP_SECONDS * 5; i++)); do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$pid_file"
      echo "The cluster has ended."
      return
    fi
    sleep 0.2
  done
  echo "run_cluster: the cluster did not end within $STOP_SECONDS s; see $state/serve.out" >&2
  return 1
}

case ${1-} in
  start) start ;;
  stop) stop ;;
  *) sed -n '2,7p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
