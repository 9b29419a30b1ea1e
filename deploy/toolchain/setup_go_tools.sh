#!/usr/bin/env bash
# Builds helm and grpcurl, which the tests use, from pinned Go modules into the cache folder. Does nothing when
# they are there already. The Go compiler comes with the Python environment (setup_python.sh) where none is new enough.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=deploy/toolchain/env.sh
source "$here/env.sh"

MODULES=(
  helm.sh/helm/v3/cmd/helm@v3.22.0
  github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
)

command -v go >/dev/null || { echo "setup_go_tools: no go; run setup_python.sh first" >&2; exit 1; }
mkdir -p "$BANYAN_CACHE/bin" "$BANYAN_CACHE/stamps"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for module in "${MODULES[@]}"; do
  stamp=$BANYAN_CACHE/stamps/$(tr / _ <<<"$module")
  [[ ! -f $stamp ]] || continue
  echo "setup_go_tools: building $module"
  GOBIN=$BANYAN_CACHE/bin GOTOOLCHAIN=local go install -ldflags '-s -w' "$module" 2>"$log" || {
    tail -n 5 "$log" >&2
    exit 1
  }
  touch "$stamp"
done

# The schema of ServiceMonitor is published in a Go module too; the chart's test validates against it.
OPERATOR=github.com/prometheus-operator/prometheus-operator@v0.85.0
crd=$BANYAN_CACHE/crds/servicemonitors.yaml
if [[ ! -f $crd ]]; then
  dir=$(cd /tmp && GOTOOLCHAIN=local GOFLAGS=-mod=mod go mod download -json "$OPERATOR" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  mkdir -p "$(dirname "$crd")"
  cp "$dir/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml" "$crd"
  chmod 644 "$crd"
fi
