"""Reads pages back: their events, and what a browser would load for them."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any

from opencodeinterpreter.graph.arms import ARMS, DRAFT
from opencodeinterpreter.nodes.records import Record
from opencodeinterpreter.nodes.settings import Settings
from opencodeinterpreter.traces.evaluation.audit import Audit
from opencodeinterpreter.traces.evaluation.folder import Header as Asked
from opencodeinterpreter.traces.evaluation.regressions import since
from opencodeinterpreter.traces.evaluation.results import results
from opencodeinterpreter.traces.metrics import Attempt, TaskResult
from opencodeinterpreter.traces.page.document import Page
from opencodeinterpreter.traces.page.evaluations import Evaluated, evaluations_page
from opencodeinterpreter.traces.trace import Header, Trace, route_of

LOADS = frozenset({"src", "srcset", "href", "data", "action", "formaction", "poster", "style"})
"""The attributes by which a page refers to something, and that of styles that a policy forbids."""


class _Parsed(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.events: dict[str, str] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.elements: list[tuple[str, str]] = []
        self._open: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in found.items()]
        if tag in ("script", "style", "title"):
            self._open.append((tag, found))

    def handle_data(self, data: str) -> None:
        if self._open:
            tag, found = self._open.pop()
            if "data-event" in found:
                self.events[found["data-event"]] = data
            else:
                self.elements.append((tag, data))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()


def parsed(page: str) -> _Parsed:
    """Parse a page's HTML."""
    reader = _Parsed()
    reader.feed(page)
    return reader


def events_of(page: str) -> dict[str, Any]:
    """Return a page's events, unpacked."""
    return {name: unpacked(text) for name, text in parsed(page).events.items()}


def unpacked(text: str) -> Any:
    """Return one event's value."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def outside(page: str) -> list[str]:
    """Return all that a page would load or that leads outside of it."""
    found = [
        f"<{tag} {name}={value!r}>"
        for tag, name, value in parsed(page).attributes
        if name.startswith("on") or (name in LOADS and not value.startswith("#"))
    ]
    style = "".join(text for tag, text in parsed(page).elements if tag == "style")
    return found + re.findall(r"@import.*|url\([^)]*\)", style)


def trace_from(record: Record, run: str = "00000000-0000-4000-8000-000000000001") -> Trace:
    """Return a record as the trace of a run with this id."""
    header = Header(run=run, created="2026-11-01T00:00:00+00:00")
    return Trace(header=header, record=record, routes=tuple(map(route_of, record.turns)))


def report_page(name: str = "new", why: str = "model: refused") -> Page:
    """Return the page of an evaluation that lacks a retry, beside one before."""
    arms = (DRAFT, ARMS["execution"])
    settings = Settings(models={"coder": "scripted:x.toml"})
    header = Asked(benchmark=name, sha256="0", protocol="held-out", settings=settings, arms=arms)
    good, bad = (Attempt(base=flag, further=flag) for flag in (True, False))
    done = {"a": TaskResult(attempts=(good,)), "b": TaskResult(attempts=(bad,), went_on=True)}
    tasks = {"none": done, "execution": {"a": done["a"]}}
    now = results(header, 2, tasks, {"execution": {"b": why}}, Audit())
    before = results(header, 2, {"none": done, "execution": done}, {}, Audit())
    every = {name: Evaluated(now, {}, {}), f"{name} again": Evaluated(now, {}, {})}
    return evaluations_page(every, since({"old": before}, {name: now}))
