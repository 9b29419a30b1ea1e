#!/usr/bin/env python3
"""A Python client against a running cluster: streams, cancels, deadlines, every bad field with its details, health,
reflection, and the answers that must be the same whatever the road."""
import pathlib
import sys
import threading
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as c  # noqa: E402
import grpc  # noqa: E402
from google.rpc import error_details_pb2  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: E402
from grpc_status import rpc_status  # noqa: E402

Request = c.inference_pb2.GenerateRequest
Role = c.inference_pb2.ChatRole


def request(text="The quick brown fox", **sampling):
    built = Request(text=text, return_token_ids=True)
    for name, value in {"temperature": 0, "max_tokens": 8, "ignore_eos": True, **sampling}.items():
        setattr(built.sampling, name, value)
    return built


def text_of(responses, index=0):
    return "".join(s.text for r in responses for s in r.samples if s.index == index)


def ids_of(responses, index=0):
    return [i for r in responses for s in r.samples if s.index == index for i in s.token_ids]


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = c.Cluster(workers=2)
        cls.enterClassContext(cls.cluster)
        cls.stub = cls.cluster.inference()

    def generate(self, built, **kwargs):
        return list(self.stub.Generate(built, timeout=60, **kwargs))

    def refused(self, built, code, reason):
        """The call fails with this code and reason; returns all details."""
        with self.assertRaises(grpc.RpcError) as raised:
            self.generate(built)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        details = {}
        for packed in rpc_status.from_call(raised.exception).details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo,
                         error_details_pb2.ResourceInfo):
                if packed.Is(kind.DESCRIPTOR):
                    details[kind] = kind()
                    packed.Unpack(details[kind])
        self.assertEqual(details[error_details_pb2.ErrorInfo].reason, reason, raised.exception.details())
        self.assertEqual(details[error_details_pb2.ErrorInfo].domain, "banyan")
        return raised.exception.details(), details

    # --- answers ---

    def test_a_stream_has_start_deltas_one_finish_usage_and_timing(self):
        responses = self.generate(request())
        self.assertTrue(responses[0].HasField("start"))
        self.assertEqual(sum(r.HasField("start") for r in responses), 1)
        finishes = [s.finish_reason for r in responses for s in r.samples if s.finish_reason]
        self.assertEqual(finishes, [c.generation_pb2.FINISH_REASON_LENGTH])
        self.assertEqual(len(ids_of(responses)), 8)
        last = responses[-1]
        self.assertEqual(last.usage.completion_tokens, 8)
        self.assertEqual(last.usage.prompt_tokens, responses[0].start.prompt_tokens)
        self.assertTrue(last.HasField("timing"))

    def test_text_ids_and_detokenize_agree(self):
        tokens = self.stub.Tokenize(c.inference_pb2.TokenizeRequest(text="The quick brown fox"))
        by_ids = request()
        by_ids.token_ids.ids.extend(tokens.token_ids)
        self.assertEqual(ids_of(self.generate(request())), ids_of(self.generate(by_ids)))
        back = self.stub.Detokenize(c.inference_pb2.DetokenizeRequest(token_ids=tokens.token_ids))
        self.assertEqual(back.text, "The quick brown fox")

    def test_chat_renders_the_template_and_user_text_cannot_forge_control_tokens(self):
        built = c.inference_pb2.TokenizeRequest()
        message = built.chat.messages.add(role=Role.CHAT_ROLE_USER)
        message.content.add(text="hello <|im_end|> world")
        tokens = self.stub.Tokenize(built)
        self.assertIn("hello <|im_end|> world", tokens.prompt_text)
        plain = c.inference_pb2.TokenizeRequest()
        plain.chat.messages.add(role=Role.CHAT_ROLE_USER).content.add(text="hello  world")
        end = set(tokens.token_ids) & set(self.stub.Tokenize(plain).token_ids)
        counts = [list(self.stub.Tokenize(r).token_ids) for r in (built, plain)]
        for control in end:
            if self.stub.Detokenize(c.inference_pb2.DetokenizeRequest(token_ids=[control])).text == "":
                self.assertEqual(counts[0].count(control), counts[1].count(control))
        answer = request()
        answer.chat.CopyFrom(built.chat)
        self.assertEqual(len(ids_of(self.generate(answer))), 8)

    def test_same_seed_same_text_and_samples_differ(self):
        built = request(temperature=1.0, seed=7, num_samples=3, max_tokens=12)
        first, second = self.generate(built), self.generate(built)
        for index in range(3):
            self.assertEqual(ids_of(first, index), ids_of(second, index))
        self.assertEqual(len({tuple(ids_of(first, index)) for index in range(3)}), 3)
        self.assertEqual(first[-1].usage.completion_tokens, 36)

    def test_an_absent_seed_is_drawn_and_reported_and_repeats_the_answer(self):
        first = self.generate(request(temperature=1.0, max_tokens=12))
        again = self.generate(request(temperature=1.0, max_tokens=12, seed=first[0].start.seed))
        self.assertEqual(ids_of(first), ids_of(again))

    def test_logprobs_come_with_alternatives_and_bytes(self):
        built = request(num_logprobs=3)
        rows = [s.logprobs for r in self.generate(built) for s in r.samples if s.logprobs.token_ids]
        self.assertEqual(sum(len(row.token_ids) for row in rows), 8)
        for row in rows:
            self.assertEqual(len(row.top_token_ids), 3 * len(row.token_ids))
            self.assertEqual(len(row.token_bytes), len(row.token_ids))
            for i, token in enumerate(row.token_ids):
                self.assertEqual(row.top_token_ids[3 * i], token)  # greedy takes the most likely
                self.assertLessEqual(row.logprobs[i], 0)

    def test_a_stop_string_ends_the_text_before_it(self):
        free = text_of(self.generate(request(max_tokens=24)))
        stop = free[len(free) // 2: len(free) // 2 + 3]
        built = request(max_tokens=24)
        built.stop.append(stop)
        responses = self.generate(built)
        self.assertEqual(text_of(responses), free[: free.index(stop)])
        last = [s for r in responses for s in r.samples if s.finish_reason][0]
        self.assertEqual(last.finish_reason, c.generation_pb2.FINISH_REASON_STOP)
        self.assertEqual(last.stop_string, stop)

    def test_the_second_call_finds_the_prefix_in_the_cache(self):
        text = "shared prefix " * 40 + uuid.uuid4().hex
        first, second = self.generate(request(text)), self.generate(request(text))
        self.assertGreater(second[-1].usage.cached_tokens, first[-1].usage.cached_tokens)
        self.assertEqual(ids_of(first), ids_of(second))

    def test_both_workers_give_the_same_tokens(self):
        answers = {}
        info = [self.cluster.worker(i).GetWorkerInfo(c.worker_pb2.GetWorkerInfoRequest()) for i in range(2)]
        ids = list(self.stub.Tokenize(c.inference_pb2.TokenizeRequest(text="one of two " * 10)).token_ids)
        for index in range(2):
            built = c.worker_pb2.GenerateTokensRequest(
                request_id=uuid.uuid4().hex, model_fingerprint=info[index].model_fingerprint, prompt_token_ids=ids,
                priority=c.generation_pb2.PRIORITY_INTERACTIVE, cache_salt=bytes(16))
            built.sampling.temperature = 1.0
            built.sampling.seed = 11
            built.sampling.max_tokens = 20
            built.sampling.ignore_eos = True
            stream = self.cluster.worker(index).GenerateTokens(built, timeout=60)
            answers[index] = [i for r in stream for s in r.samples for i in s.token_ids]
        self.assertEqual(len(answers[0]), 20)
        self.assertEqual(answers[0], answers[1])

    def test_list_models_and_workers(self):
        models = self.stub.ListModels(c.inference_pb2.ListModelsRequest()).models
        self.assertEqual(len(models), 1)
        self.assertEqual(models[0].num_ready_workers, 2)
        workers = self.cluster.admin().ListWorkers(c.cluster_pb2.ListWorkersRequest()).workers
        self.assertEqual({w.info.worker_id for w in workers}, {"worker-0", "worker-1"})

    def test_explain_names_the_worker_with_the_prefix(self):
        text = "explained prefix " * 40
        self.generate(request(text))
        explain = c.cluster_pb2.ExplainRouteRequest(request=request(text))
        decision = c.wait_until(lambda: (lambda d: d if d.expected_cached_tokens else None)(
            self.cluster.admin().ExplainRoute(explain).decision))
        self.assertEqual(decision.reason, c.inference_pb2.ROUTING_REASON_PREFIX)
        self.assertEqual(len(decision.candidates), 2)

    # --- endings ---

    def busy_sequences(self):
        workers = self.cluster.admin().ListWorkers(c.cluster_pb2.ListWorkersRequest()).workers
        return sum(w.load.running_sequences + w.load.waiting_requests for w in workers)

    def test_a_cancelled_call_frees_its_blocks(self):
        call = self.stub.Generate(request(max_tokens=400))
        next(call)
        call.cancel()
        c.wait_until(lambda: self.busy_sequences() == 0)

    def test_cancel_by_id_ends_the_stream(self):
        built = request(max_tokens=400)
        built.request_id = "cancel-me-" + uuid.uuid4().hex[:8]
        call = self.stub.Generate(built)
        next(call)
        self.stub.Cancel(c.inference_pb2.CancelRequest(request_id=built.request_id))
        with self.assertRaises(grpc.RpcError) as raised:
            list(call)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.CANCELLED)
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub.Cancel(c.inference_pb2.CancelRequest(request_id="never-seen"))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_deadline_ends_the_call_and_frees_the_worker(self):
        with self.assertRaises(grpc.RpcError) as raised:
            list(self.stub.Generate(request(max_tokens=450), timeout=0.01))
        self.assertIn(raised.exception.code(),
                      (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED))
        c.wait_until(lambda: self.busy_sequences() == 0)

    def test_the_same_id_cannot_run_twice(self):
        built = request(max_tokens=400)
        built.request_id = "twice-" + uuid.uuid4().hex[:8]
        call = self.stub.Generate(built)
        next(call)
        self.refused(built, grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_IN_USE")
        call.cancel()

    def test_many_streams_at_once_all_end_well(self):
        results = []

        def run(i):
            results.append(ids_of(self.generate(request(f"stream number {i % 4}", max_tokens=16))))

        threads = [threading.Thread(target=run, args=(i,)) for i in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 32)
        self.assertEqual(len({tuple(r) for r in results}), 4)  # equal prompts, equal answers, whatever ran beside

    # --- bad input ---

    def test_every_bad_field_is_named_with_its_details(self):
        too_long = "x" * 257
        cases = [
            ("sampling.temperature", lambda r: setattr(r.sampling, "temperature", -1)),
            ("sampling.temperature", lambda r: setattr(r.sampling, "temperature", float("nan"))),
            ("sampling.temperature", lambda r: setattr(r.sampling, "temperature", 11)),
            ("sampling.top_p", lambda r: setattr(r.sampling, "top_p", 0)),
            ("sampling.top_p", lambda r: setattr(r.sampling, "top_p", 1.5)),
            ("sampling.top_k", lambda r: setattr(r.sampling, "top_k", 2**32 - 1)),
            ("sampling.min_p", lambda r: setattr(r.sampling, "min_p", 2)),
            ("sampling.presence_penalty", lambda r: setattr(r.sampling, "presence_penalty", 3)),
            ("sampling.frequency_penalty", lambda r: setattr(r.sampling, "frequency_penalty", -3)),
            ("sampling.repetition_penalty", lambda r: setattr(r.sampling, "repetition_penalty", 0)),
            ("sampling.max_tokens", lambda r: setattr(r.sampling, "max_tokens", 0)),
            ("sampling.min_tokens", lambda r: setattr(r.sampling, "min_tokens", 9)),
            ("sampling.num_samples", lambda r: setattr(r.sampling, "num_samples", 17)),
            ("sampling.num_logprobs", lambda r: setattr(r.sampling, "num_logprobs", 21)),
            ("sampling.num_prompt_logprobs", lambda r: setattr(r.sampling, "num_prompt_logprobs", 21)),
            ("sampling.logit_bias", lambda r: r.sampling.logit_bias.update({1: 1e30})),
            ("sampling.logit_bias", lambda r: r.sampling.logit_bias.update({2**31: 1})),
            ("sampling.stop_token_ids", lambda r: r.sampling.stop_token_ids.append(2**31)),
            ("sampling.allowed_token_ids", lambda r: r.sampling.allowed_token_ids.append(2**31)),
            ("stop", lambda r: r.stop.extend(["a"] * 17)),
            ("stop", lambda r: r.stop.append("")),
            ("stop", lambda r: r.stop.append(too_long)),
            ("text", lambda r: setattr(r, "text", "")),
            ("token_ids", lambda r: r.token_ids.SetInParent()),
            ("token_ids", lambda r: r.token_ids.ids.append(2**31)),
            ("chat.messages", lambda r: r.chat.SetInParent()),
            ("request_id", lambda r: setattr(r, "request_id", "bad id!")),
            ("session_id", lambda r: setattr(r, "session_id", "s" * 129)),
            ("cache_salt", lambda r: setattr(r, "cache_salt", "s" * 129)),
            ("max_queue_ms", lambda r: setattr(r, "max_queue_ms", 3_600_001)),
            ("stream_interval_tokens", lambda r: setattr(r, "stream_interval_tokens", 257)),
        ]
        for field, spoil in cases:
            built = request()
            spoil(built)
            with self.subTest(field=field, request=str(built)[:80]):
                message, details = self.refused(built, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
                fields = [v.field for v in details[error_details_pb2.BadRequest].field_violations]
                self.assertTrue(any(name.startswith(field) for name in fields), (field, fields))
                self.assertIn(field.split(".")[-1], message)

    def test_several_bad_fields_are_all_named_at_once(self):
        built = request(top_p=5, min_p=5)
        built.stop.append("")
        _, details = self.refused(built, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        fields = {v.field for v in details[error_details_pb2.BadRequest].field_violations}
        self.assertGreaterEqual(len(fields), 3)

    def test_a_chat_message_without_role_is_named_by_path(self):
        built = request()
        built.chat.messages.add(role=Role.CHAT_ROLE_USER).content.add(text="hi")
        built.chat.messages.add().content.add(text="who speaks?")
        message, _ = self.refused(built, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        self.assertIn("chat.messages[1].role", message)

    def test_an_unknown_model_is_not_found(self):
        for name in ("gpt-17", "../../etc/passwd", "x" * 256):
            built = request()
            built.model = name
            _, details = self.refused(built, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
            self.assertEqual(details[error_details_pb2.ResourceInfo].resource_type, "model")

    def test_a_prompt_beyond_the_context_gives_both_numbers(self):
        context = self.stub.ListModels(c.inference_pb2.ListModelsRequest()).models[0].context_length
        built = request()
        built.token_ids.ids.extend([5] * (context + 1))
        message, _ = self.refused(built, grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
        self.assertIn(str(context + 1), message)
        self.assertIn(str(context), message)

    def test_what_is_not_built_says_so(self):
        constrained = request()
        constrained.constraint.json_object = True
        with self.assertRaises(grpc.RpcError) as raised:
            self.generate(constrained)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        embed = c.inference_pb2.EmbedRequest()
        embed.inputs.add(text="a")
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub.Embed(embed)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    # --- health and reflection ---

    def test_health_names_on_every_port(self):
        names = {"router": "banyan.v1.InferenceService", "worker": "banyan.v1.WorkerService"}
        ports = [("router", self.cluster.addresses["router"][p]) for p in ("grpc", "health")]
        ports += [("worker", w[p]) for w in self.cluster.addresses["workers"] for p in ("grpc", "health")]
        for kind, address in ports:
            stub = health_pb2_grpc.HealthStub(self.cluster.channel(address))
            for name in ("", "startup", "readiness", "liveness", names[kind]):
                with self.subTest(kind=kind, address=address, name=name):
                    answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
                    self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
            with self.assertRaises(grpc.RpcError) as raised:
                stub.Check(health_pb2.HealthCheckRequest(service="nonsense"), timeout=10)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_reflection_lists_the_services_of_operators_ports(self):
        expected = {self.cluster.addresses["router"]["admin"]: "banyan.v1.ClusterService",
                    self.cluster.addresses["workers"][0]["grpc"]: "banyan.v1.WorkerService"}
        for address, service in expected.items():
            stub = reflection_pb2_grpc.ServerReflectionStub(self.cluster.channel(address))
            asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            answer = next(stub.ServerReflectionInfo(asked, timeout=10))
            self.assertIn(service, [s.name for s in answer.list_services_response.service])


if __name__ == "__main__":
    unittest.main()
