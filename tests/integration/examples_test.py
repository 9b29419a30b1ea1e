#!/usr/bin/env python3
"""The README's first calls, run as they stand there, on the real model: each answer names Paris."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as c  # noqa: E402


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **kwargs)


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = c.Cluster(workers=1, model=c.default_model(), flags=["--kv-cache-tokens", "16384"])
        cls.enterClassContext(cls.cluster)
        cls.address = cls.cluster.addresses["router"]["grpc"]
        cls.admin = cls.cluster.addresses["router"]["admin"]

    def test_cpp(self):
        result = run(c.BINARIES / "docs" / "examples" / "first_call", self.address)
        self.assertIn("Paris", result.stdout, result.stderr)

    def test_python(self):
        environment = {**os.environ, "PYTHONPATH": c._generated.name}
        result = run(sys.executable, c.SOURCE / "docs" / "examples" / "first_call.py", self.address, env=environment)
        self.assertIn("Paris", result.stdout, result.stderr)

    def test_grpcurl_as_in_the_readme(self):
        readme = (c.SOURCE / "README.md").read_text(encoding="utf-8")
        command = re.search(r"```sh\n(grpcurl .*?)```", readme, re.S).group(1)
        result = run("bash", "-c", command.replace("127.0.0.1:7070", self.address), cwd=c.SOURCE)
        text = "".join(re.findall(r'"text": "(.*?)"', result.stdout))
        self.assertIn("Paris", text, result.stderr)

    def test_command_line(self):
        chat = run(c.BANYAN, "chat", "--address", self.address, "--temperature", "0", "--message",
                   "What is the capital of France?")
        self.assertIn("Paris", chat.stdout, chat.stderr)
        generate = run(c.BANYAN, "generate", "--address", self.address, "--json", "--logprobs", "2", "--max-tokens", "4",
                       "Once upon a time")
        answer = c.json.loads(generate.stdout)
        self.assertEqual(len(answer["samples"][0]["token_ids"]), 4)
        self.assertEqual(len(answer["samples"][0]["logprobs"][0]["top"]), 2)
        self.assertEqual(answer["worker_id"], "worker-0")
        workers = run(c.BANYAN, "workers", "--admin", self.admin)
        self.assertIn("worker-0", workers.stdout)
        models = run(c.BANYAN, "models", "--address", self.address)
        self.assertRegex(models.stdout, r"llama\s+q4_1\s+8192\s+1")
        explain = run(c.BANYAN, "explain", "--admin", self.admin, "Once upon a time")
        self.assertIn("worker-0", explain.stdout)

    def test_a_conversation_is_carried_on(self):
        result = run(c.BANYAN, "chat", "--address", self.address, "--temperature", "0", "--max-tokens", "24", "--json",
                     input="Name a colour.\nAnd another one?\n")
        first, second = c.json.loads("[" + result.stdout.replace("}\n{", "},{") + "]")
        said = first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"]
        self.assertGreater(second["usage"]["prompt_tokens"], said)
        # What was said before is in the cache already.
        self.assertGreater(second["usage"]["cached_tokens"], 0)

    def test_an_unreachable_router_is_said_in_one_line(self):
        result = run(c.BANYAN, "generate", "--address", "127.0.0.1:1", "--timeout-s", "5", "hello")
        self.assertEqual(result.returncode, 69, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)


if __name__ == "__main__":
    unittest.main()
