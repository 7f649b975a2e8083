"""The live page in Chromium: it follows a run, and a person answers and branches there."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.answering_server import Body, answering
from tests.browser import Chromium, browser, chromium_path, serious
from tests.command import PATIENCE, Command, warm
from tests.doubling import PLUS_TWO, RIGHT, TASK, TESTS, draft, write
from tests.test_cli_view_serve import asking, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with browser() as found:
        yield found


def test_a_person_answers_in_the_page_and_sees_the_run_go_on(
    chromium: Chromium, tmp_path: Path
) -> None:
    command = Command(tmp_path, warm)
    with served(command, asking(command)) as site, chromium.tab(site.address) as tab:
        assert "Your decision on turn 1" in tab.text(".answer")
        # The draft and the decision on it are seen at once.
        for place in (".draft", ".answer"):
            box = f"document.querySelector('{place}').getBoundingClientRect()"
            assert tab.value(f"{box}.top > 0 && {box}.bottom <= innerHeight")
        assert serious(tab) == []
        tab.click("#answer-words")
        tab.type("Twice, not plus two.")
        tab.click(".answer .act.first")
        tab.wait("document.querySelector('#turn-name')?.innerText === 'Turn 2'")
        assert "return n * 2" in tab.text("tr.added")
        tab.wait("document.querySelectorAll('.answer .act').length")
        tab.click(".answer .act:nth-of-type(2)")
        tab.wait("document.querySelector('.verdict').innerText.includes('solved')")
        assert not tab.problems
        assert all(url.startswith((site.base, "data:")) for url in tab.requests)


def test_the_page_follows_a_run_of_another_process(chromium: Chromium, tmp_path: Path) -> None:
    reached, gate = threading.Event(), threading.Event()

    def answer(body: Body) -> str:
        if len(body["messages"]) == 1:
            return draft(PLUS_TWO)
        reached.set()
        gate.wait(PATIENCE)
        return draft(RIGHT)

    command = Command(tmp_path, warm)
    tests = write(tmp_path / "tests.py", TESTS)
    with answering(answer) as server:
        asked = ("solve", TASK, "--tests", tests, "--model", f"openai:tiny@{server.url}")
        with command.start(*asked) as running:
            assert reached.wait(PATIENCE)
            run = command("runs").stdout.split("\t")[0]
            with served(command, run) as site, chromium.tab(site.address) as tab:
                assert tab.text("#turn-name") == "Turn 1"
                assert "running" in tab.text(".verdict")
                gate.set()
                tab.wait("document.querySelector('#turn-name')?.innerText === 'Turn 2'")
                tab.wait("document.querySelector('.verdict')?.innerText.includes('solved')")
                assert "return n * 2" in tab.text("tr.added")
                assert not tab.problems
            assert running.wait().status == 0


def test_a_person_branches_in_the_page_with_edited_code(chromium: Chromium, tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    with served(command, asking(command)) as site, chromium.tab(site.address) as tab:
        tab.click("section[aria-label=Branch] summary")
        tab.wait("document.querySelector('#branch-code')")
        tab.value(
            "document.querySelector('#branch-code').value = 'def double(n):\\n    return 2 * n'"
        )
        tab.click("section[aria-label=Branch] .buttons:last-child .act")
        tab.wait("document.querySelector('.crumb').innerText.includes('a branch of')")
        tab.wait("document.querySelector('.answer')")
        assert "return 2 * n" in tab.text(".draft")
        assert len(site.runs()) == 2
        tab.click("a.compare")
        tab.wait("document.querySelector('#first-difference')")
        assert "waiting" in tab.text(".sides-head")
        assert not tab.problems


def test_on_a_phone_the_page_leads_to_the_decision(chromium: Chromium, tmp_path: Path) -> None:
    command = Command(tmp_path, warm)
    with served(command, asking(command)) as site, chromium.tab(site.address, width=390) as tab:
        tab.size(390, 700, phone=True)
        tab.wait("innerHeight === 700 && getComputedStyle(document.querySelector('.jump')).display")
        tab.value("document.querySelector('.jump button').click()")
        assert tab.value("document.activeElement.id") == "answer-words"
        tab.value("document.querySelector('section[aria-label=Branch] details').open = true")
        tab.wait("document.querySelector('#branch-code')")
        assert tab.value("document.documentElement.scrollWidth") <= 390
        assert serious(tab) == []
