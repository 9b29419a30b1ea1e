#!/usr/bin/env bash
# run.sh BUILD: the benches one after another, each figure beside its limit or goal. Needs a build of the bench targets;
# the tokenizer's peer is measured beside it where the Python package `tokenizers` is installed.
set -euo pipefail

build=$(realpath "${1:?usage: run.sh BUILD}")
source_dir=$(dirname "$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")")
golden=$source_dir/tests/golden
with_env=$source_dir/deploy/toolchain/with_env.sh
readonly SECTION_SECONDS_MAX=120
failed=()

isa() {
  local flag
  for flag in avx512_bf16 avx512f avx2; do
    grep -qw "$flag" /proc/cpuinfo && echo "$flag" && return
  done
  uname -m
}

# section NAME TITLE COMMAND...: a header, then the command within its time.
section() {
  local name=$1 title=$2
  shift 2
  printf '\n== %s: %s\n' "$name" "$title"
  timeout "$SECTION_SECONDS_MAX" "$@" || failed+=("$name")
}

printf 'machine: %s cores, %s, %s, load %s, %s\n' "$(nproc)" "$(isa)" \
  "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(cut -d ' ' -f 1 /proc/loadavg)" "$(date -u +%F)"

bench=$build/tests/bench
section kernels_bench 'each op beside what the machine can do' "$bench/kernels_bench" --shape 1b --seconds 0.5
section tokenizer_bench 'beside Hugging Face tokenizers' "$with_env" python3 \
  "$source_dir/tests/bench/tokenizer_compare.py" "$bench/tokenizer_bench" "$golden/smollm2/us-constitution.txt" \
  "$golden/tokenizers/smollm2/tokenizer.json.gz"
section cache_waste_bench 'KV slots unused over allocated' "$bench/cache_waste_bench"
section batching_bench 'continuous beside request-level batching' "$bench/batching_bench"
section router_bench 'time of one routing decision' "$bench/router_bench"
if ((${#failed[@]} > 0)); then
  printf '\nfailed or out of time: %s\n' "${failed[*]}" >&2
  exit 1
fi
