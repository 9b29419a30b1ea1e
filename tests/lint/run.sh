#!/usr/bin/env bash
# All lints, as `make lint` and CI run them. With --tidy also clang-tidy over what differs from BASE (default: the
# commit before HEAD), which needs a configured build/release for its compile commands.
set -uo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.." || exit 1
# shellcheck source=deploy/toolchain/env.sh
source deploy/toolchain/env.sh

failed=0
check() {  # check NAME COMMAND...
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then echo "lint: $name ok"; else
    failed=1
    printf 'lint: %s FAILED\n%s\n' "$name" "$out"
  fi
}
files() { git ls-files --cached --others --exclude-standard -- "$@" ':!proto/third_party' ':!tests/golden'; }

mapfile -t cpp < <(files '*.cc' '*.h' '*.cu' '*.cuh')
mapfile -t shell < <(files '*.sh' .ci/run)
mapfile -t yaml < <(files '*.yaml' '*.yml' ':!helm/*/templates/*')
check clang-format clang-format-19 --dry-run --Werror "${cpp[@]}"
check layers python3 tests/lint/check_layers.py
check tree python3 tests/lint/check_tree.py
check shellcheck shellcheck -x "${shell[@]}"
check yamllint yamllint -s -c tests/lint/yamllint.yaml "${yaml[@]}"
check buf bash -c 'cd proto && buf lint'

if [[ ${1-} == --tidy ]]; then
  mapfile -t changed < <(git diff --name-only --diff-filter=d "${BASE:-HEAD~1}" -- '*.cc' ':!tests/golden' | head -n 40)
  [[ ${#changed[@]} == 0 ]] ||
    check clang-tidy clang-tidy-19 --quiet -p build/release --warnings-as-errors='*' "${changed[@]}"
fi
exit $failed
