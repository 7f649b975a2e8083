"""What `export` writes is read by the tools whose formats they are, in an environment of theirs."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from opencodeinterpreter.traces.dialogues.format import Dialogue, lines
from opencodeinterpreter.traces.dialogues.runs import dialogue_of
from opencodeinterpreter.traces.exporting.atif import atif
from opencodeinterpreter.traces.exporting.inspect_log import inspect_log
from opencodeinterpreter.traces.trace import Trace, read_trace
from tests.command import Command, warm
from tests.langgraph_server import free_port

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-formats" / "bin" / "python"
EXAMPLES = sorted((ROOT / "traces" / "examples").glob("*.jsonl"))

START_SECONDS = 120.0

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="`make test-formats` has not been run")

HARBOR = """
import json, sys
from harbor.models.trajectories import Trajectory
for path in sys.argv[1:]:
    found = Trajectory.model_validate_json(open(path).read())
    calls = [call for step in found.steps for call in step.tool_calls or ()]
    print(json.dumps([found.schema_version, found.trajectory_id, len(calls)]))
"""
INSPECT = """
import json, sys
from inspect_ai.log import read_eval_log
for path in sys.argv[1:]:
    found = read_eval_log(path)
    (sample,) = found.samples
    roles = [message.role for message in sample.messages]
    print(json.dumps([sample.id, sample.scores["verdict"].value, roles.count("tool")]))
"""
DATASETS = """
import json, sys
from datasets import load_dataset
path, cache = sys.argv[1:]
found = load_dataset("json", data_files=path, split="train", cache_dir=cache)
for row in found:
    print(json.dumps(row))
"""


def read(script: str, paths: list[Path]) -> list[list[object]]:
    """Return what the other tool's reader says of each file."""
    command = [str(PYTHON), "-c", script, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def traces() -> list[Trace]:
    return [read_trace(path.read_text("utf-8").split("\n"), path.name) for path in EXAMPLES]


def runs_of(trace: Trace) -> int:
    return sum(turn.execution is not None for turn in trace.record.turns)


def written(folder: Path, values: list[dict[str, Any]]) -> list[Path]:
    paths = [folder / f"{number}.json" for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        path.write_text(json.dumps(value), "utf-8")
    return paths


def test_harbor_reads_trajectories(tmp_path: Path) -> None:
    if not list((PYTHON.parent.parent / "lib").glob("python*/site-packages/harbor")):
        pytest.skip("Harbor needs Python 3.12 or later")
    found = read(HARBOR, written(tmp_path, [atif(trace) for trace in traces()]))
    assert found == [["ATIF-v1.7", trace.header.run, runs_of(trace)] for trace in traces()]


def test_datasets_reads_dialogues_and_gives_the_same_rows_back(tmp_path: Path) -> None:
    every = (dialogue_of(trace) for trace in traces())
    path = tmp_path / "data.jsonl"
    path.write_text(lines(each for each in every if isinstance(each, Dialogue)), "utf-8")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert read(DATASETS, [path, tmp_path / "cache"]) == rows


def test_inspect_ai_reads_logs(tmp_path: Path) -> None:
    found = read(INSPECT, written(tmp_path, [inspect_log(trace) for trace in traces()]))
    assert found == [
        [trace.header.run, "C" if trace.record.solved else "I", runs_of(trace)]
        for trace in traces()
    ]


@contextmanager
def phoenix(folder: Path) -> Iterator[str]:
    """Run Arize Phoenix, which collects spans over OTLP; yield its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with (folder / "log").open("wb") as log:
        command = [str(PYTHON.with_name("phoenix")), "serve"]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until_it_answers(server, f"{address}/healthz", folder / "log")
        yield address
    finally:
        server.kill()
        server.wait()


def until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        assert server.poll() is None, log.read_text()
        with suppress(httpx.HTTPError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def spans_of(address: str, count: int) -> list[dict[str, Any]]:
    """Return the collected spans once there are `count`: Phoenix stores them a little later."""
    spans: list[dict[str, Any]] = []
    for _ in range(100):
        answer = httpx.get(f"{address}/v1/projects/default/spans", params={"limit": 1000})
        spans = answer.json()["data"] if answer.status_code == 200 else []
        if len(spans) >= count:
            break
        time.sleep(0.2)
    return spans


def test_phoenix_collects_runs_as_agents_model_calls_and_tools(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    expected = {trace.header.run: trace for trace in traces()}
    calls = sum(len(list(turn.calls())) for t in expected.values() for turn in t.record.turns)
    ran = sum(
        sum(run is not None for run in turn.executions or ())
        for trace in expected.values()
        for turn in trace.record.turns
    )
    with phoenix(tmp_path) as address:
        there = command.with_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        for path in EXAMPLES:
            done = there("export", str(path), "--format", "otel")
            assert (done.status, done.stdout) == (0, ""), done.stderr
        spans = spans_of(address, len(expected) + calls + ran)
    kinds = [span["span_kind"] for span in spans]
    assert [kinds.count(kind) for kind in ("AGENT", "LLM", "TOOL")] == [len(expected), calls, ran]
    agents = {span["context"]["span_id"]: span for span in spans if span["span_kind"] == "AGENT"}
    assert {span["attributes"]["session.id"] for span in agents.values()} == set(expected)
    assert {span["parent_id"] for span in spans if span["span_kind"] != "AGENT"} <= set(agents)
    for agent in agents.values():
        trace = expected[agent["attributes"]["session.id"]]
        verdicts = [turn.verdict.decision for turn in trace.record.turns if turn.verdict]
        told = [event["attributes"]["gen_ai.evaluation.score.label"] for event in agent["events"]]
        assert told == verdicts
