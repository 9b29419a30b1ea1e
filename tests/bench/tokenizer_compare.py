#!/usr/bin/env python3
"""Banyan's tokenizer beside Hugging Face tokenizers: the same files and text, one thread, thread CPU time.

usage: tokenizer_compare.py TOKENIZER_BENCH TEXT_FILE TOKENIZER_JSON...

Files may be gzipped. Without the Python package `tokenizers` only Banyan's figures are printed. "first" is the first
run (cold word cache), the others the best of nine.
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import time

try:
    import tokenizers
except ImportError:
    tokenizers = None

NUM_RUNS = 9


def read(path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def hugging_face(path: str, text: str) -> tuple[float, int]:
    """MB/s and number of tokens; one thread and no batching."""
    tokenizer = tokenizers.Tokenizer.from_file(path)
    best, num_tokens = float("inf"), 0
    for _ in range(NUM_RUNS):
        begin = time.thread_time()
        num_tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
        best = min(best, time.thread_time() - begin)
    return len(text.encode()) / 1e6 / best, num_tokens


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    bench, text_file = sys.argv[1:3]
    text = pathlib.Path(text_file).read_bytes().decode()
    for name in map(pathlib.Path, sys.argv[3:]):
        with tempfile.NamedTemporaryFile(suffix=".json") as plain:
            plain.write(read(name))
            plain.flush()
            ours = json.loads(subprocess.check_output([bench, plain.name, text_file]))
            line = f"{name.parent.name:14} banyan {ours['mb_per_s']:7.1f} MB/s (first {ours['first_mb_per_s']:.1f})"
            line += f", load {ours['load_ms']:.0f} ms"
            if tokenizers is not None:
                theirs, num_tokens = hugging_face(plain.name, text)
                if num_tokens != ours["tokens"]:
                    sys.exit(f"{name}: {ours['tokens']} tokens, Hugging Face has {num_tokens}")
                line += f"; tokenizers {tokenizers.__version__} {theirs:.2f} MB/s: {ours['mb_per_s'] / theirs:.1f}x"
            print(line)


if __name__ == "__main__":
    main()
