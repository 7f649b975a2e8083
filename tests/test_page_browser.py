"""Pages in Debian's Chromium: what a person sees and can do, and what a trace cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opencodeinterpreter.traces.evaluation.regressions import ORDER
from opencodeinterpreter.traces.page.document import Page, html
from opencodeinterpreter.traces.page.indexes import Entry, folder_page, index_page
from opencodeinterpreter.traces.page.runs import runs_page
from opencodeinterpreter.traces.trace import Trace
from tests.browser import Chromium, Tab, browser, chromium_path, serious
from tests.hostile_pages import TEXTS, hostile_record
from tests.pages import report_page, trace_from
from tests.test_page import EXAMPLES, example

SHORT = example("simulated_user").header.run[:8]
"""The beginning of the name of the run on the page `run`."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "run": runs_page([example("simulated_user")]),
        "family": runs_page([example("branch_by_code")], [example("never_solved")]),
        "two": runs_page([example("never_solved"), example("branch_by_code")]),
        "index": folder_page(EXAMPLES[0].parent, print),
        "report": report(),
        "chat": runs_page([chat(example("simulated_user"))]),
    }
    for name, page in made.items():
        (folder / f"{name}.html").write_text(html(page), "utf-8")
    return folder


def chat(trace: Trace) -> Trace:
    """Return a run in which the third turn answers another message."""
    first = trace.record.task
    second = first.model_copy(update={"number": 2, "prompt": "Now count the orders."})
    turns = [turn.model_copy(update={"task": 1 + turn.number // 3}) for turn in trace.record.turns]
    update = {"tasks": (first, second), "turns": tuple(turns)}
    return trace.model_copy(update={"record": trace.record.model_copy(update=update)})


def report() -> Page:
    """Return the page of an evaluation, with a row for each change since one before."""
    page = report_page()
    entries = [
        Entry(example("simulated_user"), name="a", setting="none", scored=False, change=change)
        for change in ORDER
    ]
    return index_page("An evaluation", entries, page.outline, ("change", False))


def url(pages: Path, name: str, address: str = "") -> str:
    return f"{(pages / f'{name}.html').as_uri()}{address}"


def test_the_timeline_and_the_keys_lead_through_the_turns(chromium: Chromium, pages: Path) -> None:
    with chromium.tab(url(pages, "run")) as tab:
        assert tab.text("#turn-name") == "Turn 1"
        tab.click("#timeline li:nth-child(3) a")
        tab.wait("document.querySelector('#turn-name').innerText === 'Turn 3'")
        tab.key("k")
        tab.wait("document.querySelector('#turn-name').innerText === 'Turn 2'")
        tab.key("End")
        tab.wait("location.hash.endsWith('/3')")
        tab.key("Home")
        tab.wait("location.hash.endsWith('/1')")
        tab.key("?")
        assert tab.wait("document.querySelector('dialog').open")
        assert not tab.problems


def test_a_link_opens_its_turn_with_the_change_and_the_failing_test(
    chromium: Chromium, pages: Path
) -> None:
    with chromium.tab(url(pages, "run", f"#run/{SHORT}/2")) as tab:
        assert tab.text("#turn-name") == "Turn 2"
        assert "if item in left:" in tab.text("tr.added")
        assert "{'bolts': 5, 'hinges': -2}" in tab.text(".test.bad .expected")
        assert "the two hinges have vanished" in tab.text("blockquote")
        edges = tab.value("[...document.querySelectorAll('.edge.now')].map(e => e.dataset.edge)")
        assert set(edges) >= {"coder>executor", "executor>judge", "judge>critic"}
        tab.key("d")
        assert tab.value("document.querySelector('tr.added') === null")
        tab.key("e")
        tab.wait("document.querySelector('.message')")
        assert not tab.problems


def test_the_family_leads_to_two_branches_side_by_side(chromium: Chromium, pages: Path) -> None:
    with chromium.tab(url(pages, "family")) as tab:
        tab.key("c")
        tab.wait("location.hash.startsWith('#compare')")
        tab.wait("document.querySelector('#first-difference')")
        assert "Turn 1 is equal" in tab.text(".stem")
        assert "They part at turn 2" in tab.text("#parted")
        assert "from calendar import leapdays" in tab.text(".sides")
        assert not tab.problems


def test_a_branch_stands_right_of_the_run_that_it_comes_from(
    chromium: Chromium, pages: Path
) -> None:
    branch, parent = example("branch_by_code").header, example("never_solved").header
    assert branch.parent == parent.run
    for own in (branch, parent):
        with chromium.tab(url(pages, "family", f"#run/{own.run[:8]}")) as tab:
            tab.click("a.compare")
            tab.wait(f"location.hash === '#compare/{parent.run[:8]}/{branch.run[:8]}'")


def test_a_chat_shows_each_message_above_its_turns(chromium: Chromium, pages: Path) -> None:
    with chromium.tab(url(pages, "chat", f"#run/{SHORT}/3")) as tab:
        asked = tab.value("[...document.querySelectorAll('.asked')].map(p => p.innerText)")
        assert len(asked) == 2
        assert asked[1] == "Now count the orders."
        assert tab.text("#message-name") == "Message 2 of 2"
        assert tab.text(".message-part pre") == "Now count the orders."
        assert tab.value("document.querySelector('.edge.taken[data-edge=\"judge>coder\"]')") is None
        tab.key("Home")
        tab.wait("document.querySelector('#message-name').innerText === 'Message 1 of 2'")
        assert "remaining(stock" in tab.text(".message-part pre")
        assert not tab.problems


@pytest.mark.parametrize("name", ["run", "two", "report", "chat"])
def test_a_printed_page_is_light_and_cuts_nothing_off(
    chromium: Chromium, pages: Path, name: str
) -> None:
    with chromium.tab(url(pages, name), width=720) as tab:
        tab.key("t")
        if tab.value("document.documentElement.dataset.theme") != "dark":
            tab.key("t")
        tab.printed()
        assert tab.value("document.documentElement.scrollWidth") <= 720
        assert tab.value("getComputedStyle(document.body).colorScheme") == "light"
        assert tab.value("getComputedStyle(document.querySelector('#bar')).display") == "none"
        assert tab.value(CUT) == []


CUT = """
[...document.querySelectorAll('.wide *')].filter(each =>
  getComputedStyle(each).overflowY !== 'visible' && !each.closest('.visually-hidden, svg')
  && each.scrollHeight > each.clientHeight + 2).map(each => each.outerHTML.slice(0, 100))
"""


def test_three_runs_are_compared_pair_by_pair(chromium: Chromium, tmp_path: Path) -> None:
    shown = [example(name) for name in ("never_solved", "branch_by_code", "person")]
    (tmp_path / "three.html").write_text(html(runs_page(shown)), "utf-8")
    with chromium.tab((tmp_path / "three.html").as_uri()) as tab:
        tab.wait("document.querySelector('#first-difference')")
        tab.click(".run-head > .note a")
        tab.wait(
            f"document.querySelector('.sides-head').innerText.includes('{shown[2].header.run[:8]}')"
        )
        assert not tab.problems


def test_all_of_a_turn_opens_by_a_key_and_the_settings_stay_closed(
    chromium: Chromium, pages: Path
) -> None:
    with chromium.tab(url(pages, "run")) as tab:
        tab.key("e")
        assert tab.value("document.querySelectorAll('#place details:not([open])').length") == 0
        assert tab.value("document.querySelectorAll('.run-head details:not([open])').length") > 0
        tab.key("e")
        assert tab.value("document.querySelectorAll('#place details[open]').length") == 0


def test_runs_alike_under_other_settings_are_neither_said_to_part_nor_to_be_alike(
    chromium: Chromium, tmp_path: Path
) -> None:
    one = example("never_solved")
    settings = {at: {**held, "drafts": 2} for at, held in one.record.settings.items()}
    header = one.header.model_copy(update={"run": f"00000000{one.header.run[8:]}"})
    record = one.record.model_copy(update={"settings": settings})
    other = one.model_copy(update={"header": header, "record": record})
    (tmp_path / "two.html").write_text(html(runs_page([one, other])), "utf-8")
    with chromium.tab((tmp_path / "two.html").as_uri()) as tab:
        tab.wait("document.querySelector('.stem')")
        text = tab.text("#main")
        assert "One setting differs: drafts" in text
        assert "Turns 1 to 3 are equal" in text
        assert "part" not in text and "alike" not in text


def test_an_index_is_filtered_and_sorted_and_leads_to_a_run(
    chromium: Chromium, pages: Path
) -> None:
    with chromium.tab(url(pages, "index")) as tab:
        assert tab.value("document.querySelectorAll('.runs tbody tr').length") == len(EXAMPLES)
        tab.key("/")
        tab.type("branch")
        tab.wait("document.querySelectorAll('.runs tbody tr').length === 2")
        tab.value("document.querySelector('#words').value = ''")
        tab.value("document.querySelector('#words').dispatchEvent(new Event('input'))")
        tab.click("th.num:nth-of-type(5) button")
        first = tab.text(".runs tbody tr th a")
        tab.click(".runs tbody tr th a")
        tab.wait("document.querySelector('#turn-name')")
        assert first
        tab.key("i")
        tab.wait("document.querySelector('.runs')")
        assert not tab.problems


@pytest.mark.parametrize("name", TEXTS)
async def test_a_hostile_text_does_nothing(chromium: Chromium, tmp_path: Path, name: str) -> None:
    one = trace_from(await hostile_record(TEXTS[name]))
    other = example("never_solved")
    (tmp_path / "run.html").write_text(html(runs_page([one], [other])), "utf-8")
    index = index_page(TEXTS[name], [Entry(one, TEXTS[name], setting=TEXTS[name])])
    (tmp_path / "index.html").write_text(html(index), "utf-8")
    first, second = one.header.run[:8], other.header.run[:8]
    for address in (f"run.html#run/{first}/2", f"run.html#compare/{first}/{second}", "index.html"):
        page = (tmp_path / "run.html").parent.as_uri() + "/" + address
        with chromium.tab(page) as tab:
            for _ in range(3):  # What is folded holds more that is folded.
                tab.value("document.querySelectorAll('details').forEach(d => d.open = true)")
                tab.value("new Promise(done => setTimeout(done, 50))")
            unhurt(tab)


def unhurt(tab: Tab) -> None:
    assert tab.value("document.documentElement.dataset.owned ?? ''") == ""
    assert tab.problems == []
    assert [each for each in tab.requests if not each.startswith(("file:", "data:image/"))] == []
    assert tab.value("document.querySelectorAll('iframe, object, embed, link, base').length") == 0
    assert tab.value("({}).polluted") is None
    assert "\x1b" not in tab.text()
    assert "\u202e" not in tab.text()
    assert tab.value("getComputedStyle(document.querySelector('#main')).display") != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "address", "width"),
    [
        ("run", f"#run/{SHORT}/2", 1280),
        ("run", f"#run/{SHORT}/3", 390),
        ("family", "", 1280),
        ("two", "", 1280),
        ("two", "", 390),
        ("index", "#index", 1280),
        ("report", "", 1280),
        ("report", "", 390),
        ("chat", "", 1280),
    ],
)
def test_axe_finds_nothing_serious(
    chromium: Chromium, pages: Path, name: str, address: str, width: int, scheme: str
) -> None:
    with chromium.tab(url(pages, name, address), width=width) as tab:
        tab.scheme(scheme)
        tab.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        tab.value("new Promise(done => setTimeout(done, 100))")
        assert serious(tab) == []


def test_axe_finds_nothing_serious_in_the_list_of_keys(chromium: Chromium, pages: Path) -> None:
    with chromium.tab(url(pages, "run")) as tab:
        tab.key("?")
        assert serious(tab) == []


def test_on_a_phone_two_programs_are_one_change(chromium: Chromium, pages: Path) -> None:
    with chromium.tab(url(pages, "two"), width=390) as tab:
        tab.wait("document.querySelector('#first-difference')")
        assert tab.value("document.querySelector('.sides')") is None
        assert "from calendar import leapdays" in tab.text("tr.added")
        assert "def leap_birthdays" in tab.text("tr.removed")
        assert not tab.problems


@pytest.mark.parametrize("name", ["run", "two", "index", "report", "chat"])
def test_a_page_fits_a_phone(chromium: Chromium, pages: Path, name: str) -> None:
    with chromium.tab(url(pages, name), width=320, height=700) as tab:
        tab.size(320, 700, phone=True)
        assert tab.value("document.documentElement.scrollWidth") <= 320
