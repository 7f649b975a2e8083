"""Runs in other formats: chat messages, trajectories, logs, spans; and the schema of our own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from langchain_core.messages import convert_to_messages
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from opencodeinterpreter.traces.exporting.atif import atif
from opencodeinterpreter.traces.exporting.chat import chat
from opencodeinterpreter.traces.exporting.inspect_log import inspect_log
from opencodeinterpreter.traces.trace import line_schema
from tests.command import Command, warm
from tests.test_page import EXAMPLES, example

SCHEMA = Path(__file__).parent.parent / "docs" / "schemas" / "trace.schema.json"


def test_the_schema_of_traces_is_published_and_every_line_of_the_examples_fits_it() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == line_schema(), "run: make docs"
    check = jsonschema.Draft202012Validator(line_schema())
    for path in EXAMPLES:
        for line in example(path.stem).lines():
            check.validate(json.loads(line))
    assert list(check.iter_errors({"line": "turn", "number": "one"}))


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_a_run_is_a_chat_that_langchain_reads(name: str) -> None:
    trace = example(name)
    found = convert_to_messages(chat(trace)["messages"])
    drafts = sum(turn.draft is not None for turn in trace.record.turns)
    assert [message.type for message in found].count("ai") == drafts
    assert trace.record.task.prompt.strip()[:40] in str(found[0].content) + str(found[1].content)


def test_a_trajectory_has_a_step_for_each_message_and_the_execution_as_a_tool() -> None:
    steps = atif(example("simulated_user"))["steps"]
    assert [step["step_id"] for step in steps] == list(range(1, len(steps) + 1))
    (first, *_) = [step for step in steps if step["source"] == "agent"]
    (call,), (result,) = first["tool_calls"], first["observation"]["results"]
    assert call["arguments"]["code"].startswith("def remaining")
    assert result["source_call_id"] == call["tool_call_id"]
    assert "KeyError: 'hinges'" in result["content"]
    assert first["extra"]["verdict"]["decided_by"] == "tests"


def test_a_branch_s_stem_is_copied_context() -> None:
    steps = atif(example("branch_by_code"))["steps"]
    agents = [step for step in steps if step["source"] == "agent"]
    assert [step.get("is_copied_context", False) for step in agents] == [True, True]
    assert agents[1]["llm_call_count"] == 0
    assert "metrics" not in agents[1]


def test_a_log_has_the_verdict_as_its_score() -> None:
    (sample,) = inspect_log(example("never_solved"))["samples"]
    score = sample["scores"]["verdict"]
    assert (score["value"], score["metadata"]["decided_by"]) == ("I", "limits")


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Run a collector that speaks OTLP over HTTP; yield its address and what it gets."""
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            got.append(request)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_collector_gets_the_run_its_calls_and_its_executions(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    path = next(str(path) for path in EXAMPLES if path.stem == "simulated_user")
    with collector() as (address, got):
        there = command.with_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        done = there("export", path, "--format", "otel")
    assert (done.status, done.stdout) == (0, ""), done.stderr
    (scope,) = got[0].resource_spans[0].scope_spans
    spans = {span.name: span for span in scope.spans}
    assert scope.scope.version == "0.1.0"
    root = spans["invoke_agent opencodeinterpreter"]
    children = [span for span in scope.spans if span.parent_span_id == root.span_id]
    assert len(children) == len(scope.spans) - 1
    assert sum(span.name == "execute_tool execute_python" for span in children) == 3
    about = {each.key: each.value for each in children[0].attributes}
    assert about["gen_ai.operation.name"].string_value == "chat"
    assert about["gen_ai.provider.name"].string_value == "scripted"
    assert [event.name for event in root.events] == ["gen_ai.evaluation.result"] * 3
    assert all(
        root.start_time_unix_nano
        <= span.start_time_unix_nano
        <= span.end_time_unix_nano
        <= root.end_time_unix_nano
        for span in children
    )
    assert "hinges" not in str(got[0])


def test_without_a_collector_nothing_is_sent_and_the_way_out_is_told(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    done = command("export", str(EXAMPLES[0]), "--format", "otel")
    assert done.status == 2
    assert "set OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr


def test_a_collector_that_refuses_is_an_outside_failure(tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    with collector(400) as (address, _):
        there = command.with_environment(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        done = there("export", str(EXAMPLES[0]), "--format", "otel")
    assert done.status == 3
    assert "did not take the spans" in done.stderr


@pytest.mark.parametrize("form", ["atif", "inspect", "chat"])
def test_the_command_writes_each_format_as_one_json_value(tmp_path: Path, form: str) -> None:
    command = Command(tmp_path, warm)
    done = command("export", str(EXAMPLES[0]), "--format", form, "-o", "out.json")
    assert (done.status, done.stdout) == (0, ""), done.stderr
    assert isinstance(json.loads((tmp_path / "out.json").read_text("utf-8")), dict)
