#!/usr/bin/env python3
"""The Helm chart: lints, renders on several Kubernetes versions, every object is valid against strict schemas, bad values
are refused with a sentence, and every flag that it passes exists in the binaries.

Needs helm, kubernetes-validate and the ServiceMonitor schema (deploy/toolchain). BANYAN_BINARY_DIR: where the binaries are.
"""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "banyan"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
KUBE_VERSIONS = ["1.27", "1.30", "1.33"]
SERVICE_MONITOR_CRD = pathlib.Path(os.environ["BANYAN_CACHE"]) / "crds" / "servicemonitors.yaml"

# Values on top of ci/minimal-values.yaml, and what the refusal must say.
REFUSED = [
    ("colour: blue", "colour"),
    ("router: {replicas: 0}", "replicas"),
    ("router: {replicas: two}", "replicas"),
    ("router: {service: {port: 70000}}", "port"),
    ("router: {logFormat: xml}", "logFormat"),
    ("pools: []", "pools"),
    ("pools: [{name: Bad_Name, model: m, replicas: 1, modelPath: /models/x, modelSource: {hostPath: /x}}]", "name"),
    ("pools: [{name: a, model: m, replicas: 1, modelPath: /etc/passwd, modelSource: {hostPath: /x}}]", "modelPath"),
    ("pools: [{name: a, model: m, replicas: 1, modelPath: /models/x, modelSource: {}}]", "set exactly one of"),
    ("pools: [{name: a, model: m, replicas: 1, modelPath: /models/x, modelSource: {hostPath: /x, "
     "persistentVolumeClaim: claim}}]", "set exactly one of"),
    ("pools: [{name: router, model: m, replicas: 1, modelPath: /models/x, modelSource: {hostPath: /x}}]",
     "may not be called"),
    ("pools: [{name: a, model: m, replicas: 1, modelPath: /models/x, modelSource: {hostPath: /x}}, "
     "{name: a, model: other, replicas: 1, modelPath: /models/x, modelSource: {hostPath: /x}}]", "stands twice"),
    ("pools: [{name: a, model: m, replicas: 1, dtype: int3, modelPath: /models/x, modelSource: {hostPath: /x}}]", "dtype"),
    ("metrics: {serviceMonitor: {interval: often}}", "interval"),
    ("image: {repository: ''}", "repository"),
]


def helm(*arguments):
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True)


def render(release, kube_version, *values):
    files = [argument for value in values for argument in ("-f", value)]
    return helm("template", release, CHART, "--kube-version", kube_version + ".0", *files)


def objects(text):
    return [o for o in yaml.safe_load_all(text) if o]


class ChartTest(unittest.TestCase):
    def test_there_are_values_to_test(self):
        self.assertGreaterEqual(len(CI_VALUES), 3)

    def test_lint_is_clean_for_all_ci_values(self):
        for values in CI_VALUES:
            result = helm("lint", "--strict", CHART, "-f", values)
            self.assertEqual(result.returncode, 0, f"{values.name}: {result.stdout}{result.stderr}")

    def test_every_object_is_valid_on_every_kubernetes_version(self):
        monitor = yaml.safe_load(SERVICE_MONITOR_CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for values in CI_VALUES:
            for version in KUBE_VERSIONS:
                result = render("demo", version, values)
                self.assertEqual(result.returncode, 0, result.stderr)
                for item in objects(result.stdout):
                    with self.subTest(values=values.name, version=version, kind=item["kind"]):
                        if item["kind"] == "ServiceMonitor":
                            jsonschema.validate(item, monitor)
                        else:
                            kubernetes_validate.validate(item, version, strict=True)

    def test_release_named_like_a_boolean_keeps_its_labels_strings(self):
        for item in objects(render("y", "1.30", CHART / "ci" / "cpu-demo-values.yaml").stdout):
            self.assertIsInstance(item["metadata"]["labels"]["app.kubernetes.io/instance"], str)

    def test_selectors_match_the_pods_they_are_for(self):
        items = objects(render("demo", "1.30", CHART / "ci" / "everything-values.yaml").stdout)
        for item in items:
            if item["kind"] in ("Deployment", "StatefulSet"):
                labels = item["spec"]["template"]["metadata"]["labels"]
                self.assertLessEqual(item["spec"]["selector"]["matchLabels"].items(), labels.items())
        services = {i["metadata"]["name"]: i for i in items if i["kind"] == "Service"}
        for item in items:
            if item["kind"] == "StatefulSet":
                selector = services[item["spec"]["serviceName"]]["spec"]["selector"]
                self.assertLessEqual(selector.items(), item["spec"]["template"]["metadata"]["labels"].items())

    def test_grace_period_covers_the_drain(self):
        for item in objects(render("demo", "1.30", CHART / "ci" / "everything-values.yaml").stdout):
            if item["kind"] in ("Deployment", "StatefulSet"):
                pod = item["spec"]["template"]["spec"]
                text = yaml.safe_dump(pod["containers"][0])
                seconds = int(re.search(r"deadline-s=(\d+)", text).group(1))
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], seconds + 15)

    def test_no_pod_runs_as_root_or_with_capabilities(self):
        for values in CI_VALUES:
            for item in objects(render("demo", "1.30", values).stdout):
                pod = item["spec"] if item["kind"] == "Pod" else item["spec"].get("template", {}).get("spec") \
                    if item["kind"] in ("Deployment", "StatefulSet") else None
                if pod is None:
                    continue
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                for container in pod["containers"]:
                    self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
                    self.assertEqual(container["securityContext"]["capabilities"]["drop"], ["ALL"])

    def test_bad_values_are_refused_with_the_key_or_a_sentence(self):
        for text, expected in REFUSED:
            with self.subTest(values=text), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                result = render("demo", "1.30", CHART / "ci" / "minimal-values.yaml", file.name)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(expected, result.stderr)

    def test_every_flag_in_the_pods_exists(self):
        binaries = pathlib.Path(os.environ["BANYAN_BINARY_DIR"])
        found = {"router": binaries / "router" / "banyan-router", "worker": binaries / "worker/service/banyan-worker"}
        for item in objects(render("demo", "1.30", CHART / "ci" / "everything-values.yaml").stdout):
            if item["kind"] not in ("Deployment", "StatefulSet"):
                continue
            container = item["spec"]["template"]["spec"]["containers"][0]
            usage = subprocess.run([found[container["name"]], "--help"], capture_output=True, text=True, check=True).stdout
            known = set(re.findall(r"--[a-z][a-z0-9-]*", usage))
            for argument in container["args"]:
                self.assertIn(argument.split("=")[0], known, f"banyan-{container['name']} has no such flag")


if __name__ == "__main__":
    unittest.main()
