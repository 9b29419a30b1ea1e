#!/usr/bin/env bash
# Installs what Banyan builds with from Debian's packages, when something is missing. Needs root or sudo.
#
#   install_packages.sh [build] [lint] [test]      groups; default: build
#
# Debian 12 (x86-64) is what is supported; elsewhere it fails with one sentence.
set -euo pipefail

BUILD=(g++ make cmake ninja-build pkg-config ccache mold python3 python3-venv
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libprotoc-dev libabsl-dev prometheus-cpp-dev
  libsimdjson-dev libxxhash-dev libcli11-dev nlohmann-json3-dev libssl-dev libutf8proc-dev zlib1g-dev
  libgtest-dev libgmock-dev libbenchmark-dev)
LINT=(clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev llvm-19 shellcheck yamllint)
TEST=(prometheus jq curl)

fail() { echo "install_packages: $*" >&2; exit 1; }

groups=("$@")
[[ ${#groups[@]} -gt 0 ]] || groups=(build)
packages=()
for group in "${groups[@]}"; do
  case $group in
    build) packages+=("${BUILD[@]}") ;;
    lint) packages+=("${LINT[@]}") ;;
    test) packages+=("${TEST[@]}") ;;
    *) fail "unknown group '$group' (want build, lint or test)" ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  fail "only Debian 12 is supported: install by hand what this script lists (${packages[*]})"
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

sudo=()
if [[ $(id -u) != 0 ]]; then
  command -v sudo >/dev/null || fail "needs root or sudo to install: ${missing[*]}"
  sudo=(sudo)
fi
echo "install_packages: installing ${missing[*]}"
"${sudo[@]}" apt-get update -q >/dev/null
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null ||
  fail "apt-get could not install: ${missing[*]}"
