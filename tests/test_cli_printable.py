"""Untrusted text cannot control the terminal that shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencodeinterpreter.tools.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nand é", "plain\ttext\nand é"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("over\rwritten", "over\\x0dwritten"),
        ("dos\r\nlines", "dos\nlines"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eesrever", "\\x202eesrever"),
        ("\u061cmark", "\\x61cmark"),
        ("two\u2028lines", "two\\x2028lines"),
        ("tag\U000e0041", "tag\\xe0041"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not {ch for ch in printable(text) if ord(ch) < 32 and ch not in "\t\n"}
    assert "\x7f" not in printable(text)
