"""Runs in the sandbox, as the cells of a context: the examiner of a candidate.

It holds the tests and what they expect, asks the candidate through the host, compares, and tells
one plain outcome a test. The candidate is in another process. Work is done in a thread that waits,
between two cells, for what was asked of the candidate.

What it tells goes through a descriptor that it keeps for itself: descriptors 1 and 2 lead nowhere
before any test runs, so nothing that a test prints can be taken for an outcome. A message is a line
of JSON, `{"outcomes": …}` or `{"ask": true}`; in the latter case the request follows it as it is.
"""

import json
import os
import queue
import sys
import threading
from functools import cache
from typing import Any

from opencodeinterpreter.tools.grading.inside.cases import examine as examine_cases
from opencodeinterpreter.tools.grading.inside.link import FAILURES, Link

_STACK = 64 << 20

Outcome = dict[str, str]
"""`name`, `status`, `message` and `word` of one test; see `execution.TestOutcome`."""


class Examiner:
    """Does one job; see `main`."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._channel = _private_channel()
        self._asked: queue.Queue[str | None] = queue.Queue()
        self._answered: queue.Queue[dict[str, Any]] = queue.Queue()
        self._outcomes: list[Outcome] = []
        self.link = Link(self._ask)

    def start(self) -> None:
        """Begin the work in a thread."""
        threading.stack_size(_STACK)
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, answer: dict[str, Any]) -> None:
        """Hand over what became of the last request."""
        self._answered.put(answer)

    def tell(self) -> None:
        """Wait for the next request, or for the end, and tell the host."""
        request = self._asked.get()
        if request is None:
            self._send(json.dumps({"outcomes": self._outcomes}), "")
        else:
            self._send('{"ask": true}', request)

    def _send(self, head: str, body: str) -> None:
        rest = memoryview(f"{head}\n{body}".encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(self._channel, rest) :]

    def _ask(self, request: str) -> tuple[str, str, str]:
        stdin = sys.stdin
        self._asked.put(request)
        answer = self._answered.get()
        # Each cell has put its own in place of the tests'.
        sys.stdin = stdin
        if "reply" in answer:
            return answer["stdout"], answer["stderr"], answer["reply"]
        raise self.link.fail(FAILURES[answer["why"]](answer["text"]))

    def _work(self) -> None:
        try:
            self._outcomes = _examine(self._job, self.link)
        except BaseException as error:
            message = f"the tests could not be run: {type(error).__name__}: {error}"
            self._outcomes = [{"name": "tests", "status": "error", "message": message[:2000]}]
        finally:
            self._asked.put(None)


def _examine(job: dict[str, Any], link: Link) -> list[Outcome]:
    if job["kind"] == "cases":
        return examine_cases(job, link)
    try:
        # It needs pytest, which cases do without.
        from opencodeinterpreter.tools.grading.inside.python_tests import examine
    except ImportError:
        message = "tests in Python need pytest, which the Python of the sandbox does not have"
        return [{"name": "tests", "status": "error", "message": message}]
    return examine(job, link)


def _private_channel() -> int:
    """Keep the cell's stdout for ourselves, and let descriptors 1 and 2 lead nowhere."""
    channel = os.dup(1)
    # Kept open, since whoever reads the stream would take its end for that of the process.
    os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    return channel


@cache
def _examiners() -> list[Examiner]:
    return []


def main() -> None:
    """Take a job or an answer from the cell's stdin; tell outcomes or the next request."""
    given = json.loads(sys.stdin.read())
    if "kind" in given:
        _examiners().append(Examiner(given))
        _examiners()[-1].start()
    else:
        _examiners()[-1].answer(given)
    _examiners()[-1].tell()
