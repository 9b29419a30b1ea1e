#!/usr/bin/env python3
"""Metrics as operators use them: promtool accepts both pages, and a real Prometheus that scrapes a running cluster returns
data for every query of the dashboard."""
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as c  # noqa: E402

DASHBOARD = c.SOURCE / "deploy" / "grafana" / "banyan.json"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


class Prometheus:
    """A Prometheus server over the given targets, by job."""

    def __init__(self, targets):
        self._scratch = tempfile.TemporaryDirectory(prefix="banyan-prometheus-")
        root = pathlib.Path(self._scratch.name)
        jobs = [{"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()]
        (root / "prometheus.yml").write_text(
            json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))  # JSON is YAML
        self.port = free_port()
        self._process = subprocess.Popen(
            ["prometheus", f"--config.file={root / 'prometheus.yml'}", f"--storage.tsdb.path={root / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(timeout=30)
        self._scratch.cleanup()

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            return json.loads(fetch(url))["data"]["result"]
        except OSError:
            return []


class PrometheusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = c.Cluster(workers=2)
        cls.enterClassContext(cls.cluster)
        addresses = cls.cluster.addresses
        cls.targets = {"banyan-router": [addresses["router"]["metrics"]],
                       "banyan-worker": [worker["metrics"] for worker in addresses["workers"]]}
        cls.stop = threading.Event()
        cls.load = threading.Thread(target=cls.send_requests)
        cls.load.start()
        cls.addClassCleanup(cls.load.join)
        cls.addClassCleanup(cls.stop.set)

    @classmethod
    def send_requests(cls):
        stub = cls.cluster.inference()
        request = c.inference_pb2.GenerateRequest(text="metrics " * 20)
        request.sampling.max_tokens = 24
        request.sampling.ignore_eos = True
        while not cls.stop.is_set():
            for _ in stub.Generate(request):
                pass
            time.sleep(0.05)

    def test_promtool_accepts_every_metrics_page(self):
        for addresses in self.targets.values():
            for address in addresses:
                page = fetch(f"http://{address}/metrics")
                result = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_the_scrape_configuration_is_valid(self):
        config = c.SOURCE / "deploy" / "prometheus" / "prometheus.yml"
        result = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_the_dashboard_is_what_its_script_writes(self):
        script = c.SOURCE / "deploy" / "grafana" / "make_dashboard.py"
        self.assertEqual(subprocess.run([sys.executable, script, "--check"]).returncode, 0)

    def test_every_panel_query_returns_data(self):
        panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 15)
        with Prometheus(self.targets) as prometheus:
            up = "sum(up) == 3"
            c.wait_until(lambda: prometheus.query(up), seconds=60)
            # Rates need a few scrapes.
            c.wait_until(lambda: prometheus.query("sum(rate(banyan_router_requests_total[10s])) > 0"), seconds=60)
            for panel in panels:
                for target in panel["targets"]:
                    expression = target["expr"].replace("$__rate_interval", "10s")
                    with self.subTest(panel=panel["title"], query=expression):
                        # A ratio is NaN until something was counted between two scrapes.
                        c.wait_until(lambda e=expression: any(
                            row["value"][1] != "NaN" for row in prometheus.query(e)), seconds=20)


if __name__ == "__main__":
    unittest.main()
