#!/usr/bin/env python3
"""Workers that die under load: what had sent nothing is answered elsewhere, the rest gets a clear status, the dead worker
leaves rotation, and comes back when its supervisor has restarted it."""
import os
import pathlib
import signal
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as c  # noqa: E402
import grpc  # noqa: E402


class FailureTest(unittest.TestCase):
    def healthy(self, cluster):
        workers = cluster.admin().ListWorkers(c.cluster_pb2.ListWorkersRequest()).workers
        usable = (c.cluster_pb2.WORKER_HEALTH_HEALTHY, c.cluster_pb2.WORKER_HEALTH_SLOW_START)
        return {w.info.worker_id: w for w in workers if w.health in usable}

    def test_kill_minus_nine_under_load(self):
        with c.Cluster(workers=2) as cluster:
            stub = cluster.inference()
            outcomes = []
            stop = threading.Event()

            def client(number):
                while not stop.is_set():
                    request = c.inference_pb2.GenerateRequest(text=f"client {number} says ")
                    request.sampling.max_tokens = 64
                    request.sampling.ignore_eos = True
                    tokens = 0
                    try:
                        for response in stub.Generate(request, timeout=60):
                            tokens += sum(s.num_output_tokens > 0 for s in response.samples)
                        outcomes.append((tokens, None))
                    except grpc.RpcError as error:
                        outcomes.append((tokens, error))

            threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            c.wait_until(lambda: len(outcomes) > 16)
            epoch = self.healthy(cluster)["worker-0"].info.epoch
            os.kill(cluster.worker_pid(0), signal.SIGKILL)
            c.wait_until(lambda: "worker-0" not in self.healthy(cluster))
            back = c.wait_until(lambda: "worker-0" in self.healthy(cluster), seconds=60)
            self.assertTrue(back)
            # Another process with an empty cache: the router follows it from its own snapshot.
            c.wait_until(lambda: self.healthy(cluster)["worker-0"].cache_in_sync)
            self.assertNotEqual(self.healthy(cluster)["worker-0"].info.epoch, epoch)
            before = len(outcomes)
            c.wait_until(lambda: len(outcomes) > before + 16)
            stop.set()
            for thread in threads:
                thread.join()
            for tokens, error in outcomes:
                if error is None:
                    continue
                self.assertGreater(tokens, 0, f"a request that had sent no token failed: {error}")
                self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
                self.assertIn("worker", error.details())
            self.assertGreater(sum(error is None for _, error in outcomes), 32)

    def test_without_any_worker_the_answer_is_unavailable_and_not_silence(self):
        with c.Cluster(workers=1) as cluster:
            os.kill(cluster.worker_pid(0), signal.SIGKILL)
            c.wait_until(lambda: not self.healthy(cluster))
            request = c.inference_pb2.GenerateRequest(text="anyone?")
            request.sampling.max_tokens = 4
            with self.assertRaises(grpc.RpcError) as raised:
                list(cluster.inference().Generate(request, timeout=20))
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_ctrl_c_drains_and_leaves_no_process(self):
        cluster = c.Cluster(workers=2).__enter__()
        pids = [cluster.addresses["router"]["pid"], *(cluster.worker_pid(i) for i in range(2))]
        code, output = cluster.stop()
        self.assertEqual(code, 0, output)
        for pid in pids:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), f"process {pid} stayed behind")

    def test_a_busy_port_is_one_sentence(self):
        with c.Cluster(workers=1) as cluster:
            address = cluster.addresses["router"]["grpc"]
            taken = c.subprocess.run([c.BANYAN, "serve", "--model", cluster.state / "tiny", "--listen", address],
                                     capture_output=True, text=True, timeout=60)
            self.assertEqual(taken.returncode, 69, taken.stderr)
            self.assertIn(address, taken.stderr)
            self.assertIn("in use", taken.stderr)


if __name__ == "__main__":
    unittest.main()
