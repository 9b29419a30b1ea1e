#!/usr/bin/env python3
"""Writes the Grafana dashboard banyan.json beside this file. Edit the table below, run this, commit both.

usage: make_dashboard.py [--check]      --check: exit status 1 when the file is not what this would write
"""
import json
import pathlib
import sys

OUT = pathlib.Path(__file__).resolve().parent / "banyan.json"
WINDOW = "$__rate_interval"


def rate(metric, by="", where=""):
    clause = f" by ({by})" if by else ""
    return f"sum{clause} (rate({metric}{where}[{WINDOW}]))"


def quantile(q, metric, by=""):
    labels = ", ".join(filter(None, ["le", by]))
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket[{WINDOW}])))"


def quantiles(metric):
    return [(quantile(q, metric), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]


# Row, title, unit, [(query, legend)]. Every query is run against a live cluster in the tests and must return data.
PANELS = [
    ("Cluster", "Requests by outcome", "reqps", [(rate("banyan_router_requests_total", "outcome"), "{{outcome}}")]),
    ("Cluster", "Open requests", "short", [("sum by (class) (banyan_router_requests_active)", "{{class}}")]),
    ("Cluster", "Tokens per second", "short", [
        (rate("banyan_router_prompt_tokens_total"), "prompt"),
        (rate("banyan_router_cached_tokens_total"), "prompt, cached"),
        (rate("banyan_router_generation_tokens_total"), "generated")]),
    ("Cluster", "Time to first token", "s", quantiles("banyan_router_ttft_seconds")),
    ("Cluster", "Gap between tokens", "s", quantiles("banyan_router_itl_seconds")),
    ("Cluster", "Whole request", "s", quantiles("banyan_router_e2e_seconds")),
    ("Router", "Decisions by reason", "reqps", [(rate("banyan_router_decisions_total", "reason"), "{{reason}}")]),
    ("Router", "Actual over expected time to first token", "short", [
        (quantile(0.5, "banyan_router_ttft_prediction_ratio"), "median")]),
    ("Router", "Own work per request, p99", "s", [
        (quantile(0.99, "banyan_router_stage_seconds", "stage"), "{{stage}}")]),
    ("Router", "Workers by health", "short", [("sum by (health) (banyan_router_workers)", "{{health}}")]),
    ("Router", "Retries", "reqps", [(rate("banyan_router_retries_total", "cause"), "{{cause}}")]),
    ("Router", "Prefix tree", "bytes", [
        ("sum(banyan_router_tree_bytes)", "in use"), ("sum(banyan_router_tree_bytes_max)", "bound")]),
    ("Router", "Age of load reports", "s", [("banyan_router_worker_load_age_seconds", "{{worker}}")]),
    ("Workers", "Running sequences", "short", [("banyan_worker_running_sequences", "{{instance}}")]),
    ("Workers", "Waiting requests", "short", [("banyan_worker_waiting_requests", "{{instance}}")]),
    ("Workers", "KV cache in use", "percentunit", [("banyan_worker_kv_utilization_ratio", "{{instance}}")]),
    ("Workers", "KV blocks", "short", [("sum by (state) (banyan_worker_kv_blocks)", "{{state}}")]),
    ("Workers", "Prefix cache hits", "percentunit", [
        (f"{rate('banyan_worker_prefix_hit_tokens_total')} / {rate('banyan_worker_prefix_lookup_tokens_total')}",
         "hit tokens over looked-up tokens")]),
    ("Workers", "Step time, p95", "s", [(quantile(0.95, "banyan_worker_step_seconds", "phase"), "{{phase}}")]),
    ("Workers", "Preemptions", "short", [(rate("banyan_worker_preemptions_total", "instance"), "{{instance}}")]),
    ("Workers", "Resident memory", "bytes", [("process_resident_memory_bytes", "{{job}} {{instance}}")]),
]


def dashboard():
    panels, y, row, column = [], 0, None, 0
    for title_row, title, unit, queries in PANELS:
        if title_row != row:
            y += 8 if column else 0
            row, column = title_row, 0
            panels.append({"type": "row", "title": row, "id": len(panels) + 1, "collapsed": False, "panels": [],
                           "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
            y += 1
        panels.append({
            "type": "timeseries", "title": title, "id": len(panels) + 1,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"h": 8, "w": 8, "x": 8 * column, "y": y},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend,
                         "datasource": {"type": "prometheus", "uid": "${datasource}"}}
                        for i, (query, legend) in enumerate(queries)],
        })
        column += 1
        if column == 3:
            column, y = 0, y + 8
    return {
        "title": "Banyan", "uid": "banyan", "schemaVersion": 39, "version": 1, "editable": True, "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"}, "tags": ["banyan"], "panels": panels,
        "templating": {"list": [{"type": "datasource", "name": "datasource", "query": "prometheus",
                                 "label": "Data source"}]},
    }


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if not OUT.exists() or OUT.read_text(encoding="utf-8") != text:
            print(f"{OUT.name} is not what make_dashboard.py writes; run it", file=sys.stderr)
            return 1
        return 0
    OUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
