"""Runs in the sandbox, as the cells of a context: the examiner of a candidate.

It holds the tests and expected values, calls the candidate, which is in another process, through
the host, compares the answers, and reports one outcome per test. The work is done in a thread; it
waits between two cells for the candidate's answer.

Messages go through a private descriptor: descriptors 1 and 2 are redirected to nothing before a
test runs, so a test's output cannot be mistaken for an outcome. A message is a line of JSON,
`{"outcomes": …}` or `{"ask": NUMBER OF THE TEST, "followed": WHETHER OTHERS FOLLOW}`; the latter is
followed by the request.
"""

import base64
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
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
        self.link = Link(self._ask, strict=job.get("strict", False))

    def start(self) -> None:
        """Begin the work in a thread; a candidate in this process has the main thread."""
        if self._job.get("solution") == "here":
            self._work()
            return
        threading.stack_size(_STACK)
        threading.Thread(target=self._work, daemon=True).start()

    def answer(self, answer: dict[str, Any]) -> None:
        """Pass on the answer to the last request."""
        self._answered.put(answer)

    def tell(self) -> None:
        """Wait for the next request or the end of the work, and send it to the host."""
        request = self._asked.get()
        if request is None:
            self._send(json.dumps({"outcomes": self._outcomes}), "")
        else:
            told = {"ask": self.link.test, "followed": self.link.followed}
            self._send(json.dumps(told), request)

    def _send(self, head: str, body: str) -> None:
        rest = memoryview(f"{head}\n{body}".encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(self._channel, rest) :]

    def _ask(self, request: str) -> tuple[str, str, str]:
        stdin = sys.stdin
        self._asked.put(request)
        answer = self._answered.get()
        # Each cell replaces the streams of the tests by its own.
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
    """Keep the cell's stdout as a private descriptor, and redirect 1 and 2 to nothing."""
    channel = os.dup(1)
    # Kept open: the reader would take the end of the stream for the end of the process.
    os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    return channel


@cache
def _examiners() -> list[Examiner]:
    return []


_PARTS = ("stdout", "stderr", "reply")


def _texts(sizes: list[int], body: str) -> Iterator[str]:
    """Yield the texts of an answer, which follow its head as one piece of base64."""
    content, at = base64.b64decode(body), 0
    for size in sizes:
        yield content[at : at + size].decode()
        at += size


def main() -> None:
    """Take a job or an answer from the cell's stdin; tell outcomes or the next request."""
    head, _, body = sys.stdin.read().partition("\n")
    given = json.loads(head)
    if "sizes" in given:
        given = dict(zip(_PARTS, _texts(given["sizes"], body), strict=True))
    if "kind" in given:
        _examiners().append(Examiner(given))
        _examiners()[-1].start()
    else:
        _examiners()[-1].answer(given)
    _examiners()[-1].tell()
