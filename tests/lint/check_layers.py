#!/usr/bin/env python3
"""Checks that every #include of the tree obeys the layer table of docs/architecture.md.

usage: check_layers.py [--root DIR]      exit status 1 and one line per violation
"""
import argparse
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')

# Folder -> folders that it may include besides itself. The longest matching prefix counts; `kernels` means the
# interface, the files directly in kernels/.
ALLOWED = {
    "common/base": [],
    "common/checkpoint": ["common/base"],
    "common/text": ["common/base", "common/checkpoint"],
    "common/rpc": ["common/base", "proto"],
    "kernels": ["common/base"],
    "kernels/reference": ["common/base", "kernels"],
    "kernels/cpu": ["common/base", "kernels"],
    "kernels/cuda": ["common/base", "kernels"],
    "worker/request": ["common/base", "kernels"],
    "worker/cache": ["common/base", "worker/request"],
    "worker/sampling": ["common/base", "kernels", "worker/request"],
    "worker/parallel": ["common/base", "kernels", "worker/request"],
    "worker/scheduler": ["common/base", "kernels", "worker/request", "worker/cache", "worker/sampling",
                         "worker/parallel"],
    "worker/model": ["common/base", "common/checkpoint", "common/text", "kernels", "worker/request", "worker/cache",
                     "worker/sampling", "worker/parallel"],
    "worker/speculative": ["common/base", "common/checkpoint", "kernels", "worker/request", "worker/cache",
                           "worker/sampling", "worker/parallel", "worker/model"],
    "worker/engine": ["common/base", "common/checkpoint", "common/text", "kernels", "worker/request", "worker/cache",
                      "worker/sampling", "worker/parallel", "worker/scheduler", "worker/model", "worker/speculative"],
    "worker/service": ["common", "kernels", "proto", "worker"],
    "router/routing": ["common/base"],
    "router/requests": ["common/base", "common/checkpoint", "common/text", "common/rpc", "proto"],
    "router": ["common", "proto", "router/routing", "router/requests"],
    "cli": ["common", "proto"],
}

# Headers from outside, by pattern, and the only folders that may include them.
OUTSIDE = [
    (r"(grpc|grpcpp|grpc\+\+)/", ["common/rpc", "worker/service", "router", "cli"]),
    (r"google/protobuf/", ["common/rpc", "worker/service", "router/requests", "router", "cli"]),
    (r"(banyan/v1|google/rpc)/.*\.pb\.h", ["common/rpc", "worker/service", "router/requests", "router", "cli"]),
    (r"prometheus/", ["common/rpc", "worker/service", "router"]),
    (r"(cuda|cublas|cuda_runtime|nvtx)", ["kernels/cuda"]),
    (r"nccl", ["worker/parallel"]),
    (r"gloo/", ["worker/parallel"]),
    (r"CLI/", ["common/rpc", "cli"]),
]


def folder_of(path):
    """The layer folder of a path of the tree, or None where it has none."""
    parts = path.split("/")
    for length in (2, 1):
        prefix = "/".join(parts[:length])
        if len(parts) > length and prefix in ALLOWED:
            return prefix
    return None


def may_include(source, target):
    return any(target == allowed or (allowed in ("common", "kernels", "worker") and source in
               ("worker/service", "router", "cli") and target.startswith(allowed + "/"))
               for allowed in [source, *ALLOWED[source]])


def violations(root):
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".h", ".cc", ".cu", ".cuh") or "build" in path.relative_to(root).parts:
            continue
        name = path.relative_to(root).as_posix()
        source = folder_of(name)
        if source is None:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            header = match.group(2)
            target = folder_of(header)
            if match.group(1) == '"' and target is not None and not may_include(source, target):
                yield f"{name}:{number}: {source} may not include {target} ({header})"
            for pattern, folders in OUTSIDE:
                if re.match(pattern, header) and target is None and source not in folders:
                    yield f"{name}:{number}: only {', '.join(folders)} may include {header}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    found = list(violations(parser.parse_args().root))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
