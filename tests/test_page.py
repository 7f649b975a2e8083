"""Pages: self-contained, complete, and without a way in for what a trace holds."""

import base64
import hashlib
from pathlib import Path

import pytest

from opencodeinterpreter.testing import ScriptedModel, draft
from opencodeinterpreter.tools.models.protocol import Usage
from opencodeinterpreter.traces.page.document import html
from opencodeinterpreter.traces.page.highlighting import aligned, coloured
from opencodeinterpreter.traces.page.indexes import Entry, index_page
from opencodeinterpreter.traces.page.runs import runs_page
from opencodeinterpreter.traces.trace import Trace, read_trace
from tests.pages import events_of, outside, parsed, trace_from
from tests.scripts import World

EXAMPLES = sorted((Path(__file__).parent.parent / "traces" / "examples").glob("*.jsonl"))


def example(name: str) -> Trace:
    path = next(path for path in EXAMPLES if path.stem == name)
    return read_trace(path.read_text("utf-8").split("\n"), path.name)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_a_page_that_refers_to_nothing_outside(path: Path) -> None:
    trace = read_trace(path.read_text("utf-8").split("\n"), path.name)
    page = html(runs_page([trace]))
    assert outside(page) == []
    assert len(page) < 500_000
    events = events_of(page)
    assert len(events[f"run:{trace.header.run}"]["turns"]) == len(trace.record.turns)


def test_the_policy_names_the_page_s_own_script_and_style_by_hash() -> None:
    found = parsed(html(runs_page([example("person")])))
    (policy,) = (value for _, name, value in found.attributes if value.startswith("default-src"))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, text in found.elements:
        if tag in ("script", "style"):
            made = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{made}'" in policy


def test_tokens_that_no_server_counted_are_unknown_and_not_zero() -> None:
    for name, known in (("simulated_user", False), ("live_drafts", True)):
        trace = example(name)
        run = events_of(html(runs_page([trace])))[f"run:{trace.header.run}"]
        assert (run["tokens"] is not None, run["turns"][0]["input"] is not None) == (known, known)


def test_equal_runs_make_equal_pages() -> None:
    pages = {html(runs_page([example("simulated_user")])) for _ in range(2)}
    assert len(pages) == 1


def test_a_turn_says_what_changed_since_the_last_draft_and_on_whose_word_tests_passed() -> None:
    trace = example("simulated_user")
    events = events_of(html(runs_page([trace])))
    second = events[f"turn:{trace.header.run}:2"]
    (now,) = second["drafts"]
    assert [row for row in now["rows"] if 0 in row] == [[4, 0], [0, 4], [0, 5]]
    assert now["removed"][0][0] == 4
    failed = next(test for test in second["executions"][0]["tests"] if test["status"] == "failed")
    assert (failed["expected"], failed["actual"]) == ("{'bolts': 5, 'hinges': -2}", "{'bolts': 5}")
    assert {"word", "name", "status"} <= failed.keys()


def test_the_prompt_of_a_call_is_found_by_following_the_texts() -> None:
    trace = example("simulated_user")
    events = events_of(html(runs_page([trace])))
    run = events[f"run:{trace.header.run}"]
    for turn in trace.record.turns:
        held = events[f"turn:{trace.header.run}:{turn.number}"]["calls"]
        for shown, call in zip(held, turn.calls(), strict=True):
            found, at = [], shown["sent"]
            while at >= 0:
                block = max(n for n, start in enumerate(run["texts"]) if start <= at)
                number = run["turns"][block]["number"]
                texts = events[f"texts:{trace.header.run}:{number}"]
                at, _, words = texts[at - run["texts"][block]]
                found.append(words)
            asked = [message.content for message in trace.record.conversation(call.messages)]
            assert found[::-1] == asked


def test_two_runs_are_compared_from_the_turn_where_they_part() -> None:
    one, other = example("never_solved"), example("branch_by_code")
    events = events_of(html(runs_page([one, other])))
    pair = events[f"pair:{one.header.run}:{other.header.run}"]
    assert (pair["stem"], pair["turns"][0]["number"]) == (1, 2)
    assert events["contents"]["view"] == "compare"


def test_an_index_has_a_row_for_each_run_and_holds_as_many_runs_as_fit() -> None:
    traces = [example(path.stem) for path in EXAMPLES]
    page = html(index_page("all", [Entry(trace, trace.header.run[:4]) for trace in traces]))
    contents = events_of(page)["contents"]
    assert [row["name"] for row in contents["index"]["rows"]] == [t.header.run[:4] for t in traces]
    assert len(contents["runs"]) == len(traces)
    assert outside(page) == []


KEY = "sk-a-secret-that-no-page-may-hold"


async def test_a_key_that_settings_name_or_the_environment_holds_reaches_no_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THE_SECRET_OF_OUR_SERVER", KEY)
    monkeypatch.setenv("OTHER_API_KEY", KEY[::-1] + "other")
    said = draft(f"key = '{KEY}'\nother = '{KEY[::-1]}other'")
    world = World(coder=ScriptedModel([said]))
    client = {"key_variable": "THE_SECRET_OF_OUR_SERVER"}
    record = await world.solve(critic="none", client=client)
    assert KEY in str(record)
    text = str(events_of(html(runs_page([trace_from(record)]))))
    assert "THE_SECRET_OF_OUR_SERVER" in text
    assert KEY not in text
    assert KEY[::-1] not in text


async def test_the_files_that_a_task_brings_are_shown_as_far_as_they_are_short() -> None:
    files = {"a.csv": "1,2", "b.bin": {"base64": "AAEC"}, "c.txt": "x" * 30_000}
    trace = trace_from(await World().solve({"prompt": "Sum a.csv.", "files": files}))
    run = events_of(html(runs_page([trace])))[f"run:{trace.header.run}"]
    shown = dict(run["tasks"][0]["files"])
    assert (shown["a.csv"], shown["b.bin"]) == ("1,2", "\n(3 bytes in all)")
    assert shown["c.txt"].endswith("x\n(30,000 bytes in all)")


async def test_spending_is_told_by_turn() -> None:
    usage = Usage(input_tokens=30, output_tokens=7, cost=0.25)
    record = await World(coder=ScriptedModel([draft("print(3)")], usage=usage)).solve()
    trace = trace_from(record)
    run = events_of(html(runs_page([trace])))[f"run:{trace.header.run}"]
    assert (run["turns"][0]["input"], run["turns"][0]["output"], run["cost"]) == (30, 7, 0.25)
    assert run["path"][:2] == [["start", "coder", 1], ["coder", "executor", 1]]


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        ("a\nb", "a\nb", [(1, 1), (2, 2)]),
        ("a\nb\nc", "a\nc", [(1, 1), (2, 0), (3, 2)]),
        ("a", "b", [(1, 0), (0, 1)]),
        ("a\na", "a", [(1, 1), (2, 0)]),
    ],
)
def test_lines_of_two_programs_are_aligned(
    before: str, after: str, rows: list[tuple[int, int]]
) -> None:
    assert aligned(before, after) == rows


@pytest.mark.parametrize(
    "code",
    ["def f():\n    '''two\n    lines'''\n", "\tx = 'unclosed\n\n", "", "\n\n", "x" * 300_000],
)
def test_colouring_keeps_every_character(code: str) -> None:
    lines = ["".join(line[1::2]) for line in coloured(code)]
    assert "\n".join(lines) == code


def test_thousands_of_changed_lines_are_aligned_without_comparing_each_pair() -> None:
    old = "\n".join(f"a{n}" for n in range(5000))
    new = "\n".join(f"b{n}" for n in range(5000))
    assert len(aligned(old, new)) == 10_000
