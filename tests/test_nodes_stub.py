"""Function stubs, and drafts without the stub's imports and helpers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencodeinterpreter.nodes.stub import completed, is_stub

STUB = '''import math
from typing import List

LIMIT = 3


def helper(n):
    return n * LIMIT


def wanted(numbers: List[int]) -> int:
    """Return the sum of helper(n) over all numbers."""
'''


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (STUB, True),
        ("def f(x):\n    pass", True),
        ("async def f(x):\n    ...", True),
        ("def f(x):\n    return x", False),
        ("Write a function that doubles.", False),
        ("x = 1", False),
        ("", False),
    ],
)
def test_a_stub_is_python_with_a_function_left_open(prompt: str, expected: bool) -> None:
    assert is_stub(prompt) is expected


def test_a_draft_gets_the_imports_and_helpers_that_it_uses_and_leaves_out() -> None:
    draft = "def wanted(numbers: List[int]) -> int:\n    return sum(helper(n) for n in numbers)"
    program = completed(STUB, draft)
    names: dict[str, object] = {}
    exec(program, names)  # noqa: S102 - our own code
    assert names["wanted"]([1, 2]) == 9  # type: ignore[operator]
    assert "import math" not in program, "math is not used"
    assert program.endswith(draft)


def test_a_draft_that_defines_everything_stays_as_it_is() -> None:
    draft = (
        "from typing import List\n\ndef helper(n):\n    return n\n\n"
        "def wanted(numbers: List[int]) -> int:\n    return sum(map(helper, numbers))"
    )
    assert completed(STUB, draft) == draft


@pytest.mark.parametrize("draft", ["def wanted(:", "print(List"])
def test_a_draft_that_does_not_parse_stays_as_it_is(draft: str) -> None:
    assert completed(STUB, draft) == draft


def test_what_python_wants_first_stays_first() -> None:
    draft = (
        '"""Sums."""\nfrom __future__ import annotations\n\n'
        "def wanted(numbers: List[int]) -> int:\n    return sum(map(helper, numbers))"
    )
    program = completed(STUB, draft)
    names: dict[str, object] = {}
    exec(program, names)  # noqa: S102 - our own code
    assert names["__doc__"] == "Sums."
    assert names["wanted"]([1, 2]) == 9  # type: ignore[operator]


@pytest.mark.parametrize("line", ["from typing import *", "from __future__ import annotations"])
def test_an_import_whose_names_are_unknown_is_kept_once(line: str) -> None:
    stub = f"{line}\n\ndef wanted(numbers: List[int]) -> int:\n    ...\n"
    draft = "def wanted(numbers: List[int]) -> int:\n    return sum(numbers)"
    program = completed(stub, draft)
    exec(program, {})  # noqa: S102 - our own code
    assert program.startswith(line)
    assert completed(stub, program) == program


def test_a_draft_with_an_odd_escape_is_completed_without_a_warning() -> None:
    draft = "def wanted(numbers: List[int]) -> int:\n    return len('\\d')"
    assert completed(STUB, draft).startswith("from typing import List")


@given(st.text())
def test_words_complete_nothing(prompt: str) -> None:
    draft = "def f():\n    return undefined"
    assert completed("In words: " + prompt.replace("\n", " "), draft) == draft
