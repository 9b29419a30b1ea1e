#!/usr/bin/env python3
"""The lints themselves: each finds what it is for in a small tree made here, and nothing in a clean one."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class LintTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        subprocess.run(["git", "init", "-q", self.root], check=True)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_lint(self, script):
        result = subprocess.run([sys.executable, HERE / script, "--root", self.root], capture_output=True, text=True)
        self.assertEqual(result.returncode != 0, bool(result.stdout), result.stderr)
        return result.stdout

    def test_clean_tree_passes_both(self):
        self.write("worker/model/model.cc", '#include "kernels/ops.h"\n#include <vector>\n')
        self.assertEqual(self.run_lint("check_layers.py"), "")
        self.assertEqual(self.run_lint("check_tree.py"), "")

    def test_upward_include_is_found(self):
        self.write("kernels/cpu/a.cc", '#include "worker/model/model.h"\n')
        self.assertIn("kernels/cpu may not include worker/model", self.run_lint("check_layers.py"))

    def test_router_may_not_include_worker_nor_scheduler_model(self):
        self.write("router/a.cc", '#include "worker/engine/engine.h"\n')
        self.write("worker/scheduler/a.cc", '#include "worker/model/model.h"\n')
        found = self.run_lint("check_layers.py")
        self.assertIn("router may not include worker/engine", found)
        self.assertIn("worker/scheduler may not include worker/model", found)

    def test_grpc_below_the_services_is_found(self):
        self.write("worker/engine/a.cc", "#include <grpcpp/grpcpp.h>\n")
        self.assertIn("may include grpcpp/grpcpp.h", self.run_lint("check_layers.py"))

    def test_long_file_late_work_and_unregistered_test_are_found(self):
        self.write("common/base/a.cc", "\n" * 501)
        self.write("common/base/b.cc", "// TO" "DO: later\n")
        self.write("tests/common/base/c_test.cc", "int x;\n")
        self.write("docs/a.md", "[gone](missing.md)\n")
        found = self.run_lint("check_tree.py")
        for expected in ("a.cc: 501 lines", "b.cc:1: left for later", "c_test.cc: not registered", "broken link missing.md"):
            self.assertIn(expected, found)


if __name__ == "__main__":
    unittest.main()
