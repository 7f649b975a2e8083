"""Reports of evaluations: two side by side for a CI, and one that is not finished."""

import html
import json
import shutil
from pathlib import Path

import pytest

from tests.answering_server import Body, answering
from tests.evaluating import World, coder_or_critic, program, task_of, world
from tests.pages import events_of, outside

TASKS = (1, 14, 15, 16)
"""One passes as drafted, two are repaired by execution feedback, one never scores."""


def worse(body: Body) -> str | None:
    """Answer as the usual model, but get task 1 wrong, and refuse to repair task 14."""
    n = task_of(body)
    if n == 14 and len(body["messages"]) > 1:
        return None
    return program(n, "None") if n == 1 else coder_or_critic(body)


@pytest.mark.slow
def test_an_evaluation_by_a_worse_model_beside_one_before(tmp_path: Path) -> None:
    names = tmp_path / "ids.txt"
    names.write_text("".join(f"HumanEval/{n}\n" for n in TASKS))
    for out, model in (("old", coder_or_critic), ("new", worse)):
        with answering(model) as server:
            made = world(tmp_path, server.url)
            assert made.evaluate(out, "--tasks", str(names)).status == 0
    what_fails_newly_comes_first_and_is_the_exit_status(made)
    a_missing_result_is_an_outside_failure_where_nothing_fails_newly(made)
    a_folder_s_name_steers_no_terminal(made)
    the_page_says_what_the_shares_of_an_unfinished_setting_leave_out(made)


def what_fails_newly_comes_first_and_is_the_exit_status(made: World) -> None:
    done = made.command("report", "new", "--baseline", "old", "-o", "page.html")
    assert done.status == 1
    lines = done.stdout.splitlines()
    assert lines[2].split()[:2] == ["none", "1"]
    told = [line.rsplit(maxsplit=2) for line in lines[lines.index("") + 1 :]]
    assert told[:3] == [
        ["newly failing", "none", "HumanEval/1"],
        ["newly failing", "execution", "HumanEval/1"],
        ["no result", "execution", "HumanEval/14"],
    ]
    page = (made.command.home / "page.html").read_text("utf-8")
    assert outside(page) == []
    assert page.index("Since the baseline") < page.index("<svg")
    index = events_of(page)["contents"]["index"]
    assert index["sort"] == ["change", False]
    changes = {(row["setting"], row["name"]): row["change"] for row in index["rows"]}
    assert changes["none", "HumanEval/1"] == "newly failing"
    assert changes["execution", "HumanEval/14"] == "no result"


def a_missing_result_is_an_outside_failure_where_nothing_fails_newly(made: World) -> None:
    """Task 1 failed in a repetition of the baseline as well, so it is flaky."""
    done = made.command("report", "new", "--baseline", "old", "--baseline", "new", "--json")
    assert done.status == 3, done.stderr
    assert json.loads(done.stdout)["counts"]["flaky"] == 2
    assert made.command("report", "old", "--baseline", "old").status == 0


def a_folder_s_name_steers_no_terminal(made: World) -> None:
    hostile = "old\x1b[2J"
    shutil.copytree(made.command.home / "old", made.command.home / hostile)
    done = made.command("report", "old", hostile)
    assert "old\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout


def the_page_says_what_the_shares_of_an_unfinished_setting_leave_out(made: World) -> None:
    page = (made.command.home / "new" / "report.html").read_text("utf-8")
    text = html.unescape(page)
    assert "execution lacks 1 tasks whose first draft failed (model: " in text
    assert page.count('class="hollow"') == 3
    assert "execution (3 of 4)" in page
    assert "Hollow: this setting lacks tasks" in page
    rows = events_of(page)["contents"]["index"]["rows"]
    (lost,) = [
        row for row in rows if (row["name"], row["setting"]) == ("HumanEval/14", "execution")
    ]
    assert (lost["status"], lost["scored"]) == ("failed", None)
    finished = (made.command.home / "old" / "report.html").read_text("utf-8")
    assert "hollow" not in finished.partition("</style>")[2].partition("<script")[0]
