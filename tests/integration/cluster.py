"""A cluster of real processes on free loopback ports, for tests: `banyan serve` over a tiny random model or a given one.

    with Cluster(workers=2) as cluster:
        stub = cluster.inference()

Needs BANYAN_BINARY_DIR; Python messages are made from proto/ once per process.
"""
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import grpc
from grpc_tools import protoc

SOURCE = pathlib.Path(os.environ.get("BANYAN_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BINARIES = pathlib.Path(os.environ["BANYAN_BINARY_DIR"])
BANYAN = BINARIES / "cli" / "banyan"
START_SECONDS = 120
STOP_SECONDS = 60

_generated = tempfile.TemporaryDirectory(prefix="banyan-proto-")


def _generate():
    proto = SOURCE / "proto"
    files = [str(p) for p in sorted((proto / "banyan" / "v1").glob("*.proto"))]
    third_party = proto / "third_party"
    arguments = ["protoc", f"-I{proto}", f"-I{third_party}", f"--python_out={_generated.name}",
                 f"--grpc_python_out={_generated.name}", *files]
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments.insert(1, f"-I{well_known}")
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed")
    sys.path.insert(0, _generated.name)


_generate()
generation_pb2 = importlib.import_module("banyan.v1.generation_pb2")
inference_pb2 = importlib.import_module("banyan.v1.inference_service_pb2")
inference_grpc = importlib.import_module("banyan.v1.inference_service_pb2_grpc")
cluster_pb2 = importlib.import_module("banyan.v1.cluster_service_pb2")
cluster_grpc = importlib.import_module("banyan.v1.cluster_service_pb2_grpc")
worker_pb2 = importlib.import_module("banyan.v1.worker_service_pb2")
worker_grpc = importlib.import_module("banyan.v1.worker_service_pb2_grpc")


def default_model():
    """The real model, where deploy/toolchain/fetch_model.py puts it."""
    cache = os.environ.get("BANYAN_CACHE") or os.path.expanduser("~/.cache/banyan")
    directory = os.environ.get("BANYAN_MODEL_DIR") or os.path.join(cache, "models")
    return pathlib.Path(directory) / "SmolLM2-135M-Instruct.Q4_1.gguf"


def make_tiny_model(directory, *arguments):
    """A random model with tokenizer and chat template; the same arguments give the same weights."""
    subprocess.run([BINARIES / "tests" / "testing" / "make_tiny_model", directory, *arguments], check=True,
                   capture_output=True)
    return pathlib.Path(directory)


class Cluster:
    def __init__(self, workers=1, model=None, flags=(), tiny_model_flags=()):
        self._scratch = tempfile.TemporaryDirectory(prefix="banyan-cluster-")
        self.state = pathlib.Path(self._scratch.name)
        self._model = model or make_tiny_model(self.state / "tiny", *tiny_model_flags)
        self._command = [str(BANYAN), "serve", "--listen", "127.0.0.1:0", "--workers", str(workers), "--model",
                         str(self._model), "--state-dir", str(self.state), "--threads", str(workers),
                         "--drain-deadline-s", "5", *flags]
        self._channels = []
        self.process = None
        self.addresses = None

    def __enter__(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        deadline = time.monotonic() + START_SECONDS
        while not (self.state / "cluster.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the cluster did not start: {self.process.communicate()[0]}")
            time.sleep(0.05)
        self.addresses = json.loads((self.state / "cluster.json").read_text())
        return self

    def __exit__(self, *_):
        for channel in self._channels:
            channel.close()
        self.stop()
        self._scratch.cleanup()

    def stop(self):
        """Ends it as Ctrl-C does; returns the exit code and what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            output = self.process.communicate(timeout=STOP_SECONDS)[0]
        except (subprocess.TimeoutExpired, ValueError):
            self.process.kill()
            output = ""
        return self.process.returncode, output

    def channel(self, address):
        channel = grpc.insecure_channel(address)
        self._channels.append(channel)
        return channel

    def inference(self):
        return inference_grpc.InferenceServiceStub(self.channel(self.addresses["router"]["grpc"]))

    def admin(self):
        return cluster_grpc.ClusterServiceStub(self.channel(self.addresses["router"]["admin"]))

    def worker(self, index):
        return worker_grpc.WorkerServiceStub(self.channel(self.addresses["workers"][index]["grpc"]))

    def worker_pid(self, index):
        return self.addresses["workers"][index]["pid"]


def wait_until(condition, seconds=30):
    """Polls until the condition holds; returns its value, or fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("the condition did not come true in time")
