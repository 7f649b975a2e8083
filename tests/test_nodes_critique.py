"""The rules of a critic's reply: three sentences, no code, no leak of the reference."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opencodeinterpreter.nodes.reply_rules import cut, leak, problems, sentences

REFERENCE = '''\
def total(values, start=0):
    """Add up the values."""
    result = start
    for value in values:
        result = result + value * 1
    return result
'''

PIECES = ("```", "~~~", "``", "`", "~~", "~", "A", "b", ". ", "! ", "\n", " ", '"', "'", "(")
REPLIES = st.lists(st.sampled_from(PIECES), max_size=16).map("".join) | st.text(max_size=60)


@pytest.mark.parametrize(
    "reply",
    [
        "It fails for an empty list.",
        "Look at the loop. It stops early! Why?",
        "It uses `range(n)`, e.g. for 3.5 it is wrong. I expected 4.",
        'You wrote "no." That is wrong.',
    ],
)
def test_three_plain_sentences_are_fine(reply: str) -> None:
    assert problems(reply) == ()
    assert cut(reply) == reply


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("", ("it is empty",)),
        (" \n ", ("it is empty",)),
        ("Try this: ```x = 1```", ("it holds a code block",)),
        ("~~~\nx = 1\n~~~", ("it holds a code block",)),
        ("One. Two. Three. Four.", ("it has 4 sentences",)),
        ("- one\n- two\n- three\n- four", ("it has 4 sentences",)),
        ("A. B. C. D. ```x```", ("it holds a code block", "it has 5 sentences")),
    ],
)
def test_what_is_wrong_is_said_in_words(reply: str, found: tuple[str, ...]) -> None:
    assert problems(reply) == found


def test_line_breaks_end_sentences_and_points_in_numbers_do_not() -> None:
    assert sentences("It gives 3.5 here\n\nI expected 4.0. Check it.") == [
        "It gives 3.5 here",
        "I expected 4.0.",
        "Check it.",
    ]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("One. Two. Three. Four.", "One. Two. Three."),
        ("Do this:\n```\nx\n```\nThen stop.", "Do this: Then stop."),
        ("Fine.\n```python\nnever closed", "Fine."),
        ("```\nonly code\n```", ""),
    ],
)
def test_cutting_keeps_three_sentences_and_no_code(reply: str, kept: str) -> None:
    assert cut(reply) == kept


@given(REPLIES)
@example("``~~~x~~~`")
@settings(deadline=None)
def test_a_cut_reply_keeps_the_rules_or_is_empty(reply: str) -> None:
    assert cut(reply).strip() == "" or problems(cut(reply)) == ()


@given(REPLIES)
@settings(deadline=None)
def test_cutting_twice_changes_nothing_more(reply: str) -> None:
    assert cut(cut(reply)) == cut(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "Why not `for value in values: result = …`?",
        "It should be result=result+value*1 in the loop.",
        "Write\n  result = start\n  for value in values",
    ],
)
def test_six_tokens_of_the_reference_are_a_leak_however_they_are_laid_out(reply: str) -> None:
    assert leak(reply, REFERENCE, ()) is not None


@pytest.mark.parametrize(
    "reply",
    [
        "The result is wrong for an empty list.",
        "for value in values is five tokens",
        "Your loop over the values forgets the last value.",
    ],
)
def test_fewer_tokens_or_another_order_are_not_a_leak(reply: str) -> None:
    assert leak(reply, REFERENCE, ()) is None


def test_text_of_the_prompt_or_the_draft_is_not_a_leak() -> None:
    reply = "Keep `def total(values, start=0)` as it is."
    assert leak(reply, REFERENCE, ()) is not None
    assert leak(reply, REFERENCE, ("def total(values, start=0):",)) is None


@pytest.mark.parametrize(
    ("reference", "reply"),
    [
        ("def double(n):\n    return n * 2\n", "Just return n*2."),
        ('def double(n):\n    """Twice n."""\n    return n * 2\n', "Just return n * 2."),
        ("    return n * 2\n", "Just return n * 2."),
        ("async def double(n):\n    return n * 2\n", "Just return n * 2."),
        ("\n    # twice\n    return n * 2\n", "Just return n * 2."),
    ],
)
def test_a_short_body_leaks_as_a_whole(reference: str, reply: str) -> None:
    assert leak(reply, reference, ()) is not None
    assert leak("It should return twice n.", reference, ()) is None
    assert leak("I expected return n and then more.", reference, ()) is None


def test_a_bare_body_leaks_by_six_tokens_like_any_other_code() -> None:
    body = "    seen = set()\n    for item in items:\n        seen.add(item)\n    return seen\n"
    assert leak("Use seen = set() and go on.", body, ()) is None
    assert leak("Use `seen = set() for item`.", body, ()) == "seen = set() for"


def test_a_name_that_only_begins_alike_is_no_leak() -> None:
    assert leak("return n * 20", "def f(n):\n    return n * 2\n", ()) is None
    assert leak("return n * 2", "def f(n):\n    return n * 2\n", ()) is not None


@given(st.text(max_size=40), st.text(max_size=40))
@settings(deadline=None)
def test_no_text_breaks_the_search(reply: str, reference: str) -> None:
    found = leak(reply, reference, ())
    assert found is None or found in reply
    assert leak(reply, reference, (reply,)) is None
