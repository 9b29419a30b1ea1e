#!/usr/bin/env bash
# Runs every fuzz target of a fuzz build for a while, each from its committed corpus; findings stay in BUILD/findings.
#   run.sh BUILD SECONDS
set -euo pipefail
[[ $# == 2 ]] || { sed -n '2,3p' "${BASH_SOURCE[0]}" >&2; exit 2; }
build=$(realpath "$1") seconds=$2
corpora=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/corpus
mkdir -p "$build/findings"
failed=0
while IFS= read -r target; do
  name=$(basename "$target")
  work=$(mktemp -d)
  echo "== $name for $seconds s"
  if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$name-" "$work" "$corpora/${name%_fuzz}" >"$build/findings/$name.log" 2>&1; then
    failed=1
    echo "$name: a finding, see $build/findings"
    tail -n 20 "$build/findings/$name.log"
  else
    grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$build/findings/$name.log"
  fi
  rm -rf "$work"
done < <(find "$build/tests/fuzz" -maxdepth 1 -type f -perm -u+x -name '*_fuzz' | sort)
exit $failed
