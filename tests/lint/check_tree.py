#!/usr/bin/env python3
"""Checks what a compiler does not: every test is registered, no file is too long, nothing is left for later, names tell
something, docs links lead somewhere.

usage: check_tree.py [--root DIR]      exit status 1 and one line per violation
"""
import argparse
import pathlib
import re
import subprocess
import sys

LINES_MAX = 500
CODE = {".cc", ".h", ".cu", ".cuh", ".py", ".sh", ".proto"}
EMPTY_NAMES = re.compile(r"^(utils?|helpers?|misc|common_utils|manager|impl)\.")
LATER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
NO_TEST = re.compile(r"EXPECT_TRUE\(true\)|SUC" + r"CEED\(\)|\bDIS" + r"ABLED_")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def tracked(root):
    names = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if name and (root / name).is_file()]


def check_code(root, names):
    for name in names:
        path = pathlib.PurePath(name)
        if path.suffix not in CODE or "third_party" in path.parts:
            continue
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        if len(lines) > LINES_MAX:
            yield f"{name}: {len(lines)} lines, at most {LINES_MAX}"
        if EMPTY_NAMES.match(path.name):
            yield f"{name}: the name tells nothing"
        for number, line in enumerate(lines, 1):
            if LATER.search(line):
                yield f"{name}:{number}: left for later"
            if NO_TEST.search(line):
                yield f"{name}:{number}: a test that does not run or cannot fail"


def check_registered(root, names):
    """Each *_test.cc and *_fuzz.cc stands in the CMakeLists.txt of its folder (or the one above)."""
    for name in names:
        if not name.startswith("tests/") or not re.search(r"_(test|fuzz)\.(cc|py|sh)$", name):
            continue
        path = root / name
        lists = [p / "CMakeLists.txt" for p in (path.parent, path.parent.parent)]
        text = "".join(p.read_text(encoding="utf-8") for p in lists if p.is_file())
        if path.name not in text:
            yield f"{name}: not registered in {path.parent.relative_to(root)}/CMakeLists.txt"


def check_links(root, names):
    for name in names:
        if not name.endswith(".md"):
            continue
        for target in LINK.findall((root / name).read_text(encoding="utf-8")):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not ((root / name).parent / target).exists():
                yield f"{name}: broken link {target}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    root = parser.parse_args().root
    names = tracked(root)
    found = [*check_code(root, names), *check_registered(root, names), *check_links(root, names)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
