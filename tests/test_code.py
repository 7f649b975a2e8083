"""Extraction of code from responses as models write them."""

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencodeinterpreter.tools.code import extract_code

ADD = "def add(a, b):\n    return a + b"


def fenced(code: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{code}\n{mark}"


@pytest.mark.parametrize(
    "info",
    [
        "python",
        "python3",
        "py",
        "Python",
        "PYTHON",
        " python",
        "",
        'python title="solution.py"',
        "python solution.py",
        "python:solution.py",
        "solution.py",
        "{.python}",
        "python {linenos=true}",
    ],
)
@pytest.mark.parametrize("mark", ["```", "````", "~~~"])
def test_a_fenced_block_is_the_code_whatever_its_info_string(info: str, mark: str) -> None:
    found = extract_code(f"Here it is:\n\n{fenced(ADD, info, mark)}\n\nIt adds.")
    assert (found.code, found.files) == (ADD, {})


def test_the_last_complete_python_block_wins() -> None:
    response = f"{fenced('x = 1')}\nBetter:\n{fenced(ADD)}\nand then\n```python\ndef unfin"
    assert extract_code(response).code == ADD


def test_blocks_of_other_languages_are_not_code() -> None:
    response = "\n".join(
        [
            fenced(ADD),
            fenced("pip install numpy", "bash"),
            fenced('{"a": 1}', "json"),
            fenced("add(1, 2)", "text"),
            fenced("3", ""),
        ]
    )
    assert extract_code(response).code == ADD
    assert extract_code(fenced("print(1)", "bash")).code is None


def test_an_untagged_block_counts_only_if_none_is_tagged() -> None:
    usage = fenced("print(add(1, 2))", "")
    assert extract_code(f"{fenced(ADD)}\nUse it so:\n{usage}").code == ADD
    assert extract_code(f"Use it so:\n{usage}").code == "print(add(1, 2))"


def test_an_untagged_block_of_output_is_not_code() -> None:
    for output in ("3\n4", "True", "Result: number", "Traceback (most recent call last):"):
        assert extract_code(fenced(output, "")).code is None


@pytest.mark.parametrize(
    "idle", ["# 3", "# Your code here", '"""It prints 3."""', "3", "...", "pass", "add", "[1, 2]"]
)
def test_a_tagged_block_that_does_nothing_is_not_code(idle: str) -> None:
    assert extract_code(f"{fenced(ADD)}\nIt prints:\n{fenced(idle)}").code == ADD
    assert extract_code(f"{fenced(idle)}\nSo:\n{fenced(ADD, '')}").code == ADD
    assert extract_code(fenced(idle)).code is None


@pytest.mark.parametrize(
    "code", ["[print(n) for n in range(3)]", "ready and print(1)", "(n := 3)", "import math", "x ="]
)
def test_a_tagged_block_of_one_line_that_does_something_is_code(code: str) -> None:
    assert extract_code(fenced(code)).code == code


def test_an_unclosed_block_is_taken_when_there_is_no_complete_one() -> None:
    assert extract_code(f"Sure!\n```python\n{ADD}").code == ADD
    assert extract_code("```python\ndef f(:\n    retu").code == "def f(:\n    retu"


def test_a_block_left_open_does_not_swallow_the_next_one() -> None:
    response = f"```python\ndef wrong(\n\nNo, so:\n\n{fenced(ADD)}"
    assert extract_code(response).code == ADD


def test_text_without_fences_is_code_when_it_parses_and_does_something() -> None:
    assert extract_code(f"\n{ADD}\n").code == ADD
    for prose in ("The answer is 42.", "hello", "42", "", "   \n", "Note: nothing", "..."):
        assert extract_code(prose).code is None


def test_an_indented_fence_gives_dedented_code() -> None:
    indented = "\n".join("   " + line for line in fenced(ADD).split("\n"))
    assert extract_code(f"1. First\n\n{indented}\n\n2. Then").code == ADD


def test_fences_inside_a_docstring_belong_to_the_code() -> None:
    code = 'def f():\n    """Do.\n\n```\nf()\n```\n\n```python\nf()\n```\n"""\n    return 1'
    assert extract_code(f"{fenced(code)}\nDone.").code == code


def test_a_broken_block_ends_at_its_first_closing_fence() -> None:
    response = f"{fenced('def f(')}\nOutput:\n{fenced('1', 'text')}"
    assert extract_code(response).code == "def f("


def test_carriage_returns_are_line_ends() -> None:
    assert extract_code(fenced(ADD).replace("\n", "\r\n")).code == ADD


def test_inline_code_with_three_backticks_opens_nothing() -> None:
    assert extract_code(f"Use ```x``` here\n```x``` too\n{fenced(ADD)}").code == ADD


@pytest.mark.parametrize(
    "helper",
    [
        "**helper.py**\n\n" + fenced("X = 1"),
        "`helper.py`:\n" + fenced("X = 1"),
        "### File: `helper.py`\n" + fenced("X = 1"),
        fenced("X = 1", "python helper.py"),
        fenced("X = 1", 'python title="helper.py"'),
        fenced("X = 1", "python:helper.py"),
    ],
)
def test_named_blocks_are_files_beside_the_code(helper: str) -> None:
    for response in (f"{helper}\n\nand\n\n{fenced(ADD)}", f"{fenced(ADD)}\n\nwith\n\n{helper}"):
        found = extract_code(response)
        assert (found.code, found.files) == (ADD, {"helper.py": "X = 1"})


def test_a_first_comment_may_name_a_file() -> None:
    helper = "# file: lib/helper.py\nX = 1"
    found = extract_code(f"{fenced(helper)}\n\n{fenced('# solution.py' + chr(10) + ADD)}")
    assert found.code == f"# solution.py\n{ADD}"
    assert found.files == {"lib/helper.py": helper}


def test_a_data_file_with_a_name_is_a_file() -> None:
    found = extract_code(f"**data.json**\n{fenced('[1]', 'json')}\n\nThen:\n{fenced(ADD)}")
    assert (found.code, found.files) == (ADD, {"data.json": "[1]"})


def test_the_only_block_is_the_code_even_if_it_is_named() -> None:
    found = extract_code(f"**add.py**\n{fenced(ADD)}")
    assert (found.code, found.files) == (ADD, {})


@pytest.mark.parametrize("name", ["/etc/x.py", "../x.py", "a/../../x.py", "..\\x.py", "~/x.py"])
def test_names_that_leave_the_folder_are_ignored(name: str) -> None:
    found = extract_code(f"{fenced('X = 1', f'python {name}')}\nand\n{fenced(ADD)}")
    assert (found.code, found.files) == (ADD, {})


@pytest.mark.parametrize(
    "piece", ["```python x\n", "```\n", "```python\nx = (\n```\n", "." * 100, "``` ", "a.b\n```\n"]
)
def test_long_responses_are_read_quickly(piece: str) -> None:
    started = time.process_time()
    extract_code(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 10


@given(st.text())
def test_no_text_raises(text: str) -> None:
    found = extract_code(text)
    assert found.code is None or found.code.strip()


MARKDOWN = st.lists(
    st.sampled_from(
        ["```", "```python", "~~~", "  ```", "x = 1", '"""', "**a.py**", "# b.py", "", "so", "\r"]
    )
).map("\n".join)


@given(MARKDOWN)
def test_no_mix_of_fences_raises(text: str) -> None:
    found = extract_code(text)
    assert all(name and not name.startswith("/") for name in found.files)
    assert found.code is None or found.code.strip()


# A line that begins with ! or % is a notebook's, and is left out on purpose.
LINES = st.text(st.characters(exclude_characters="`~\r\n\\/!%", codec="utf-8"))
BODIES = st.lists(LINES, min_size=1).map("\n".join).filter(str.strip)


@given(BODIES.map("call()\n{}".format), st.sampled_from(["```", "~~~"]))
def test_a_tagged_block_round_trips(code: str, mark: str) -> None:
    assert extract_code(f"So:\n\n{fenced(code, 'python', mark)}\n\nDone.").code == code


@given(st.integers(), st.text())
def test_a_program_without_fences_round_trips(number: int, text: str) -> None:
    code = ast.unparse(ast.parse(f"x = {number}\ny = {text!r}"))
    assert extract_code(code).code == code
