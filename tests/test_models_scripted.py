"""`scripted:FILE`: which reply is given to which conversation."""

from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError, ModelError
from opencodeinterpreter.tools.models.protocol import Message, Model, Position, Request, Role
from opencodeinterpreter.tools.models.scripted import load_scripted

SCRIPT = """
[task]
anything = "else"

[[coder]]
reply = "one"
[[coder]]
when = "Execution result"
reply = "two"
[[coder]]
replies = ["three a", "three b"]

[[critic]]
reply = "first words"
[[critic]]
replies = ["second words", "asked again"]
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load(tmp_path, SCRIPT)


def load(folder: Path, text: str) -> Model:
    path = folder / "demo.toml"
    path.write_text(text, encoding="utf-8")
    return load_scripted(path, f"scripted:{path}")


async def say(
    model: Model, *texts: str, turn: int = 1, number: int = 1, role: Role = "coder"
) -> str:
    """Return the answer to a conversation of user and assistant texts, by turns."""
    messages = tuple(
        Message(role="assistant" if at % 2 else "user", content=text)
        for at, text in enumerate(texts)
    )
    at = Position(turn=turn, role=role, number=number)
    return (await model.complete(Request(messages=messages, at=at))).text


async def test_each_reply_follows_the_one_before(model: Model) -> None:
    assert await say(model, "task") == "one"
    assert await say(model, "task", " one\n", "Execution result: no", turn=2) == "two"
    assert await say(model, "task", "one", "…", "two", "more", turn=3) == "three a"


async def test_a_reply_is_repeated_until_the_condition_of_the_next_is_met(model: Model) -> None:
    assert await say(model, "task", "one", "please improve", turn=2) == "one"
    assert await say(model, "task", "one", "x", "one", "Execution result", turn=3) == "two"


async def test_the_last_reply_is_repeated(model: Model) -> None:
    assert await say(model, "task", "three b", "more", turn=9) == "three a"


async def test_after_an_edit_the_turn_decides(model: Model) -> None:
    assert await say(model, "task", "edited", "Execution result", turn=2) == "two"
    assert await say(model, "task", "edited", "words", turn=2) == "one"
    assert await say(model, "task", "edited", "words", turn=3) == "three a"
    assert await say(model, "task", "edited", "words", turn=30) == "three a"


async def test_where_no_draft_is_shown_the_turn_decides(model: Model) -> None:
    assert await say(model, "task") == "one"
    assert await say(model, "task, Execution result: no", turn=2) == "two"
    assert await say(model, "task", turn=2) == "one"
    assert await say(model, "task", turn=3) == "three a"


async def test_between_equal_replies_the_turn_decides(tmp_path: Path) -> None:
    model = load(tmp_path, "".join(f'[[coder]]\nreply = "{text}"\n' for text in ("a", "a", "b")))
    assert await say(model, "task", "a", "more", turn=2) == "a"
    assert await say(model, "task", "a", "more", "a", "more", turn=3) == "b"


async def test_several_drafts_take_several_replies(model: Model) -> None:
    said = [await say(model, "t", "two", "more", turn=3, number=number) for number in (1, 2, 3)]
    assert said == ["three a", "three b", "three b"]


async def test_the_critic_answers_by_turn(model: Model) -> None:
    assert await say(model, "x", role="critic", turn=1) == "first words"
    assert await say(model, "x", role="critic", turn=2) == "second words"
    assert await say(model, "x", role="critic", turn=7, number=2) == "asked again"


async def test_responses_are_labelled_and_timed(tmp_path: Path) -> None:
    model = load(tmp_path, '[[coder]]\nreply = "x"\ndelay = 0.05\n')
    at = Position(turn=1, role="coder", number=1)
    response = await model.complete(Request(messages=(Message(role="user", content="t"),), at=at))
    assert (response.model, response.finish, response.usage) == ("scripted:demo", "stop", None)
    assert response.seconds >= 0.04


async def test_a_role_without_entries_is_a_clear_error(model: Model) -> None:
    with pytest.raises(ModelError, match=r"no \[\[judge\]\] entries"):
        await say(model, "x", role="judge")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[coder]]\nreply = "a"\n[[coder]]\nrepy = "b"', "coder entry 2: unknown key 'repy'"),
        ("[[critic]]\ndelay = 1", "critic entry 1: .*either reply or replies"),
        ('[[coder]]\nreply = "a"\nreplies = ["b"]', "coder entry 1: .*either"),
        ('[[coder]]\nreply = "a"\ndelay = -1', "coder entry 1: delay"),
        ('[[critic]]\nreply = "a"\nwhen = "x"', "critic entry 1: `when` is for"),
        ('[coder]\nreply = "a"', r"write \[\[coder\]\]"),
        ('coder = ["text"]', "coder entry 1"),
        ('[task]\nprompt = "x"', "has no replies"),
    ],
)
def test_the_error_for_a_wrong_file_names_the_entry(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path, text)
    assert "demo.toml" in str(caught.value)
