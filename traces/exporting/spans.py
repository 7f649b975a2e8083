"""A run as OpenTelemetry spans with the attribute names of the GenAI conventions, version 0.1.0.

The conventions' repository marks all `gen_ai.*` names as Development, so the version is pinned
here. A record has durations and one time, that of the run's start: each span is placed after the
one before it, without the time that passed between them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from opencodeinterpreter.nodes.records import Call, Turn, Verdict
from opencodeinterpreter.tools.execution import Execution
from opencodeinterpreter.traces.exporting.steps import TOOL, package_version
from opencodeinterpreter.traces.trace import Trace

CONVENTIONS = "0.1.0"
AGENT = "opencodeinterpreter"
_NANO = 1_000_000_000


def export_spans(trace: Trace, exporter: SpanExporter) -> bool:
    """Send a run's spans to an exporter, and return whether it took them.

    They are the run, its model calls and its executions. Texts of messages and programs are not
    sent.
    """
    version = package_version(trace.record)
    resource = Resource.create({"service.name": AGENT, "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    made = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(made))
    _Spans(provider, trace).send()
    taken = exporter.export(made.get_finished_spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    provider.shutdown()
    return taken


@dataclass(frozen=True)
class _Work:
    """A model call or an execution, as a span that is still to be placed in time."""

    name: str
    about: dict[str, Any]
    kind: SpanKind
    seconds: float
    error: str = ""


class _Spans:
    def __init__(self, provider: TracerProvider, trace: Trace) -> None:
        scheme = "https://github.com/open-telemetry/semantic-conventions-genai"
        self._tracer = provider.get_tracer(AGENT, CONVENTIONS, schema_url=f"{scheme}/{CONVENTIONS}")
        self._trace = trace
        self._now = int(datetime.fromisoformat(trace.header.created).timestamp() * _NANO)

    def send(self) -> None:
        header, record = self._trace.header, self._trace.record
        about = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": AGENT,
            "gen_ai.agent.version": package_version(record),
            "gen_ai.conversation.id": header.run,
            **({"opencodeinterpreter.parent": header.parent} if header.parent else {}),
        }
        name = f"invoke_agent {AGENT}"
        root = self._tracer.start_span(name, attributes=about, start_time=self._now)
        for turn in record.turns:
            self._turn(turn, root)
        if header.failure:
            root.set_attribute("error.type", header.failure.owner)
            root.set_status(Status(StatusCode.ERROR, header.failure.message))
        root.end(self._now)

    def _turn(self, turn: Turn, root: Span) -> None:
        drafting = [draft.call for draft in turn.drafts or () if draft.call]
        runs = [run for run in turn.executions or () if run]
        later = [call for part in (turn.verdict, turn.feedback) if part for call in part.calls]
        # Drafts of one turn are made, and run, at the same time.
        self._beside(root, [self._call(call, turn) for call in drafting])
        self._beside(root, [self._run(run, turn) for run in runs])
        if turn.verdict:
            root.add_event("gen_ai.evaluation.result", _evaluation(turn, turn.verdict), self._now)
        for call in later:
            self._beside(root, [self._call(call, turn)])

    def _beside(self, root: Span, made: list[_Work]) -> None:
        began, inside = self._now, set_span_in_context(root)
        for each in made:
            span = self._tracer.start_span(
                each.name, inside, each.kind, attributes=each.about, start_time=began
            )
            if each.error:
                span.set_attribute("error.type", each.error)
                span.set_status(Status(StatusCode.ERROR))
            span.end(began + int(each.seconds * _NANO))
        self._now = began + int(max((each.seconds for each in made), default=0.0) * _NANO)

    def _call(self, call: Call, turn: Turn) -> _Work:
        spec = self._spec(call, turn)
        about: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": spec.partition(":")[0] or "unknown",
            "gen_ai.request.model": spec.partition(":")[2].partition("@")[0] or call.model,
            "gen_ai.response.model": call.model,
            "gen_ai.response.finish_reasons": [call.finish],
            "gen_ai.conversation.id": self._trace.header.run,
            "opencodeinterpreter.role": call.at.role,
            "opencodeinterpreter.turn": turn.number,
        }
        if call.usage:
            about["gen_ai.usage.input_tokens"] = call.usage.input_tokens
            about["gen_ai.usage.output_tokens"] = call.usage.output_tokens
            if call.usage.cached_tokens is not None:
                about["gen_ai.usage.cache_read.input_tokens"] = call.usage.cached_tokens
        name = f"chat {about['gen_ai.request.model']}"
        return _Work(name, about, SpanKind.CLIENT, call.seconds)

    def _spec(self, call: Call, turn: Turn) -> str:
        models = self._trace.record.settings[turn.settings].get("models")
        if not isinstance(models, dict):
            return ""
        return str(models.get(call.at.role) or models.get("coder", ""))

    def _run(self, run: Execution, turn: Turn) -> _Work:
        about = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": TOOL,
            "gen_ai.tool.type": "function",
            "opencodeinterpreter.turn": turn.number,
            "opencodeinterpreter.status": run.status,
        }
        error = "" if run.status == "ok" else run.error.name if run.error else run.status
        return _Work(f"execute_tool {TOOL}", about, SpanKind.INTERNAL, run.seconds, error)


def _evaluation(turn: Turn, verdict: Verdict) -> dict[str, Any]:
    return {
        "gen_ai.evaluation.name": f"verdict by {verdict.decided_by}",
        "gen_ai.evaluation.score.value": float(verdict.decision == "solved"),
        "gen_ai.evaluation.score.label": verdict.decision,
        "gen_ai.evaluation.explanation": verdict.reason,
        "opencodeinterpreter.turn": turn.number,
    }
