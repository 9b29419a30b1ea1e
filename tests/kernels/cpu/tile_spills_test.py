#!/usr/bin/env python3
"""Checks that register tiles stay in registers: disassembles the CPU kernels and counts moves of 512-bit registers to
or from the stack in every function named Tile*. g++ 12 halves a tile's speed silently when it keeps accumulators on the
stack.

usage: tile_spills_test.py LIBRARY      exit status 1 and one line per function with too many
"""
import re
import subprocess
import sys

MOVES_MAX = 16  # outside of loops; a tile that lives on the stack has 70 and more
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
STACK_MOVE = re.compile(r"zmm\d+,.*\(%r[sb]p|\(%r[sb]p\S*,.*zmm\d+")


def main():
    text = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", sys.argv[1]], check=True, capture_output=True,
                          text=True).stdout
    moves, name = {}, ""
    for line in text.splitlines():
        found = FUNCTION.match(line)
        if found:
            name = found.group(1)
            if re.search(r"::Tile\w+<", name):
                moves.setdefault(name, 0)
        elif name in moves and STACK_MOVE.search(line):
            moves[name] += 1
    too_many = {name: count for name, count in moves.items() if count > MOVES_MAX}
    for name, count in sorted(too_many.items()):
        print(f"{count} moves of 512-bit registers to or from the stack, at most {MOVES_MAX}: {name}")
    if not moves:
        print("no function named Tile* found")
    return 1 if too_many or not moves else 0


if __name__ == "__main__":
    sys.exit(main())
