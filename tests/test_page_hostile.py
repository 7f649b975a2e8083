"""Nothing that a trace holds can do anything in its page."""

import pytest

from opencodeinterpreter.traces.page.document import html
from opencodeinterpreter.traces.page.indexes import Entry, index_page
from opencodeinterpreter.traces.page.runs import runs_page
from tests.hostile_pages import MARK, TEXTS, hostile_record
from tests.pages import events_of, outside, parsed, report_page, trace_from


@pytest.mark.parametrize("name", TEXTS)
async def test_a_hostile_text_stands_in_a_page_s_html_as_text_only(name: str) -> None:
    trace = trace_from(await hostile_record(TEXTS[name]))
    for page in (html(runs_page([trace])), html(index_page(TEXTS[name], [Entry(trace)]))):
        assert outside(page) == []
        found = parsed(page)
        ours = {"html", "head", "meta", "title", "style", "body", "a", "header", "span", "div"}
        ours |= {"main", "h1", "noscript", "p", "code", "script"}
        assert {tag for tag, _, _ in found.attributes} <= ours
        assert [tag for tag, text in found.elements if MARK in text and tag != "title"] == []
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert trace.header.run in str(events_of(page).keys())


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_name_or_failure_of_an_evaluation_is_text_only(name: str) -> None:
    usual, hostile = html(report_page()), html(report_page(TEXTS[name], TEXTS[name]))
    assert outside(hostile) == []
    tags, places = ([(t, n) for t, n, _ in parsed(page).attributes] for page in (hostile, usual))
    assert tags == places
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile
