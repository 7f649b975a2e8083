"""How long Chromium takes to open big pages: a run of 200 turns, a trace of 20 MB, 5,000 runs.

Needs Chromium. Prints milliseconds from the start of the navigation to the first view, and then
to another turn.
"""

import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from opencodeinterpreter.traces.page.document import Page, html
from opencodeinterpreter.traces.page.indexes import Entry, index_page
from opencodeinterpreter.traces.page.runs import runs_page
from opencodeinterpreter.traces.trace import Trace, read_trace
from tests.browser import Chromium, browser

ROOT = Path(__file__).parent.parent
OPENED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
NEXT = """
(async () => {
  const began = performance.now();
  location.hash = document.querySelector('#timeline li:nth-last-child(2) a').getAttribute('href');
  const turn = () => document.querySelector('#turn-name').innerText;
  const before = turn();
  while (turn() === before) await new Promise(requestAnimationFrame);
  return performance.now() - began;
})()
"""


def example() -> Trace:
    """Return a run of three turns."""
    path = ROOT / "traces" / "examples" / "simulated_user.jsonl"
    return read_trace(path.read_text("utf-8").split("\n"), path.name)


def long_run(turns: int, output: int) -> Trace:
    """Return a run of so many turns, each with so many characters of output."""
    trace = example()
    record, made = trace.record, []
    for number in range(1, turns + 1):
        turn = record.turns[number % 2]
        execution = turn.execution
        assert execution is not None
        text = "\n".join(f"{number} {line} {line * line}" for line in range(output // 16))
        logs = execution.logs.model_copy(update={"stdout": text})
        run = execution.model_copy(update={"logs": logs})
        made.append(turn.model_copy(update={"number": number, "executions": (run,)}))
    routes = tuple(("coder", "executor", "judge", "critic") for _ in made)
    record = record.model_copy(update={"turns": tuple(made)})
    return trace.model_copy(update={"record": record, "routes": routes})


def many_runs(number: int) -> Page:
    """Return an index of so many runs."""
    trace = example()
    entries = []
    for at in range(number):
        header = trace.header.model_copy(update={"run": str(uuid.UUID(int=at))})
        entries.append(Entry(trace.model_copy(update={"header": header}), f"task/{at}"))
    return index_page("many", entries)


def measured(chromium: Chromium, name: str, page: Page, *, turns: bool) -> None:
    """Print how long a page takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(html(page), "utf-8")
        began = time.monotonic()
        with chromium.tab(path.as_uri()) as tab:
            tab.wait("document.documentElement.dataset.ready")
            seen = 1000 * (time.monotonic() - began)
            then = f", another turn {tab.value(NEXT):.0f} ms" if turns else ""
            size, parsed = path.stat().st_size / 1e6, tab.value(OPENED)
            print(f"{name}: {size:.1f} MB, parsed {parsed:.0f} ms, seen {seen:.0f} ms{then}")


def main() -> None:
    """Measure the three pages."""
    with browser() as chromium:
        measured(chromium, "200 turns", runs_page([long_run(200, 2_000)]), turns=True)
        measured(chromium, "20 MB", runs_page([long_run(1250, 16_000)]), turns=True)
        measured(chromium, "5,000 runs", many_runs(5000), turns=False)


if __name__ == "__main__":
    main()
