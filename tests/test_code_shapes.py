"""The shapes that models' answers take, each with the program in it.

In every answer `double` is right in one place and wrong in all others, so that a program which
doubles is the right one.
"""

import contextlib
import io
import json
from typing import Any

import pytest

from opencodeinterpreter.tools.code import extract_code
from opencodeinterpreter.tools.thinking import split_thinking

RIGHT = "def double(x):\n    return 2 * x"
WRONG = "def double(x):\n    return x + 2"
STUB = "def double(x):\n    pass"
USAGE = "print(double(21))"


def py(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}\n```"


def call(told: dict[str, Any]) -> str:
    return f"<tool_call>\n{json.dumps(told)}\n</tool_call>"


def indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in text.split("\n"))


FENCES = {
    "a tagged block": py(RIGHT),
    "an untagged block": f"Here:\n{py(RIGHT, '')}",
    "python3.11": py(RIGHT, "python3.11"),
    "Python 3 with a space": py(RIGHT, "Python 3"),
    "py3": py(RIGHT, "py3"),
    "ipython": py(RIGHT, "ipython"),
    "tool_code": py(RIGHT, "tool_code"),
    "a language behind a dot": py(RIGHT, "{.python .numberLines}"),
    "tildes": f"~~~python\n{RIGHT}\n~~~",
    "four backticks": f"````python\n{RIGHT}\n````",
    "a fence in a list item": f"1. {indented(py(RIGHT), '   ').strip()}",
    "a fence behind a dash": f"- {indented(py(RIGHT), '  ').strip()}",
    "an indented fence": f"1. Here:\n\n{indented(py(RIGHT), '   ')}\n",
    "a quoted fence": indented(py(RIGHT), "> "),
    "a fence glued to words": f"Sure! ```python\n{RIGHT}\n```",
    "a closing fence glued to code": f"```python\n{RIGHT}```\nDone.",
    "both fences glued": f"Here you go:```python\n{RIGHT}```",
    "a block on one line": "```python def double(x): return 2 * x```",
    "a call of a tool": call({"name": "python", "arguments": {"code": RIGHT}}),
    "a call of a tool without end": call({"name": "run", "arguments": {"code": RIGHT}})[:-12],
    "a call of a tool with arguments as text": call(
        {"name": "python", "arguments": json.dumps({"code": RIGHT})}
    ),
    "words around a call of a tool": "I write it:\n"
    + call({"name": "python", "arguments": {"source": RIGHT}})
    + "\nIt doubles.",
    "spaces that do not break": py(RIGHT.replace("    ", "\u00a0" * 4)),
    "spaces that do not break, and no fence": RIGHT.replace("    ", "\u00a0" * 4),
    "no closing fence": f"```python\n{RIGHT}",
    "windows line ends": py(RIGHT).replace("\n", "\r\n"),
    "PYTHON tags": f"[PYTHON]\n{RIGHT}\n[/PYTHON]",
    "code tags": f"<code>\n{RIGHT}\n</code>",
    "no fence": RIGHT,
    "no fence, indented": indented(RIGHT, "    "),
    "no fence, words before": f"Here is the function you asked for:\n\n{RIGHT}",
    "no fence, words after": f"{RIGHT}\n\nThis function returns twice its argument.",
    "no fence, words around": f"Sure, here it is:\n\n{RIGHT}\n\nIt returns twice x.",
}

TOKENS = {
    "a token before bare code": f"<|python_tag|>{RIGHT}<|eom_id|>",
    "an end token in the block": py(f"{RIGHT}\n<|EOT|>"),
    "an end token behind the last line": f"```python\n{RIGHT}<|endoftext|>\n```",
    "an end token behind the fence": f"{py(RIGHT)}<|im_end|>",
    "full-width end token": f"{py(RIGHT)}\n<｜end▁of▁sentence｜>",
    "an end token and no fence": f"{RIGHT}</s>",
    "instruction tags": f"[INST]\n{py(RIGHT)}\n[/INST]",
}

COMPANY = {
    "a usage block after it": f"{py(RIGHT)}\nYou can use it like this:\n{py(USAGE)}\nIt prints 42.",
    "a usage block before it": f"You will call it like this:\n{py(USAGE)}\nSo:\n{py(RIGHT)}",
    "an untagged usage block": f"{py(RIGHT)}\nFor example:\n{py(USAGE, '')}",
    "tests after it": f"{py(RIGHT)}\nTests:\n{py('assert double(2) == 4')}",
    "test functions after it": f"{py(RIGHT)}\nTests:\n"
    + py("from solution import double\n\ndef test_double():\n    assert double(2) == 4"),
    "a unittest after it": f"{py(RIGHT)}\nTest it:\n"
    + py(
        "import unittest\n\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual(double(2), 4)"
    ),
    "a session after it": f"{py(RIGHT)}\nIn a session:\n{py('>>> double(2)' + chr(10) + '4')}",
    "a pycon session after it": f"{py(RIGHT)}\n{py('>>> double(2)' + chr(10) + '4', 'pycon')}",
    "a shell command tagged as Python": f"{py(RIGHT)}\nRun it:\n{py('python double.py')}",
    "a shell block": f"{py(RIGHT)}\n{py('python double.py', 'bash')}",
    "a prompted shell command": f"{py(RIGHT)}\n{py('$ python double.py', '')}",
    "an installation first": f"{py('pip install numpy')}\nThen:\n{py(RIGHT)}",
    "a magic in the block": py(f"!pip install numpy\n{RIGHT}"),
    "a percent magic": py(f"%matplotlib inline\n{RIGHT}"),
    "output after it": f"{py(RIGHT)}\nOutput:\n{py('42', 'text')}",
    "untagged output": f"{py(RIGHT)}\nOutput:\n{py('42', '')}",
    "a JSON block": f"{py(RIGHT)}\n{py('[1, 2]', 'json')}",
    "a comment block": f"{py(RIGHT)}\n{py('# It doubles.')}",
    "another language's version": f"{py(RIGHT)}\n{py('function double(x) {}', 'javascript')}",
    "a diff": f"{py('- return x + 2', 'diff')}\n{py(RIGHT)}",
    "a block cut off after it": f"{py(RIGHT)}\nOr shorter:\n```python\ndouble = lambda x",
}

VERSIONS = {
    "a better version last": f"{py(WRONG)}\nThat adds. The right one:\n{py(RIGHT)}",
    "the old code quoted first": f"Your code was:\n{py(WRONG)}\nIt adds. Fixed:\n{py(RIGHT)}",
    "a common mistake quoted last": f"{py(RIGHT)}\n**Common mistake:**\n{py(WRONG)}",
    "the signature repeated last": f"{py(RIGHT)}\nSignature:\n{py('def double(x): ...')}",
    "the stub repeated last": f"{py(RIGHT)}\nThe stub was:\n{py(STUB)}",
    "the old code quoted last": f"The fix:\n{py(RIGHT)}\nThe original code was:\n{py(WRONG)}",
    "the wrong code last": f"Use:\n{py(RIGHT)}\nDo not write this, it is wrong:\n{py(WRONG)}",
    "your version last": f"Corrected:\n{py(RIGHT)}\nYour version, for comparison:\n{py(WRONG)}",
}

NEEDS = "def double(x):\n    return times(x)"
NEEDED = "def times(x, n=2):\n    return n * x if n else double(x)"
PARTS = {
    "two that need each other": f"{py(NEEDS)}\nand\n{py(NEEDED)}",
    "two that need each other, the other way": f"{py(NEEDED)}\nand\n{py(NEEDS)}",
    "two that need each other, one untagged": f"{py(NEEDS, '')}\nand\n{py(NEEDED)}",
    "two that need each other, the other untagged": f"{py(NEEDS)}\nand\n{py(NEEDED, '')}",
    "an import apart": f"First:\n{py('import operator')}\nThen:\n"
    + py("def double(x):\n    return operator.mul(x, 2)"),
    "a helper apart": f"A helper:\n{py('def times(x, n):' + chr(10) + '    return x * n')}\nSo:\n"
    + py("def double(x):\n    return times(x, 2)"),
    "a helper after": py("def double(x):\n    return times(x, 2)")
    + f"\nwith\n{py('def times(x, n):' + chr(10) + '    return x * n')}",
    "a constant apart": f"{py('FACTOR = 2')}\nand\n" + py("def double(x):\n    return FACTOR * x"),
    "three parts": f"{py('import operator')}\n{py('TWO = 2')}\n"
    + py("def double(x):\n    return operator.mul(x, TWO)"),
    "a helper, the function, a usage": py("def times(x, n):\n    return x * n")
    + f"\n{py('def double(x):' + chr(10) + '    return times(x, 2)')}\nExample:\n{py(USAGE)}",
}

THINKING = {
    "a wrong draft in thinking": f"<think>\n{py(WRONG)}\nNo.\n</think>\n\n{py(RIGHT)}",
    "thinking, then bare code": f"<think>\nI try\n{py(WRONG)}\n</think>\n\n{RIGHT}",
    "thinking whose opening stood in the prompt": f"I try\n{py(WRONG)}\n</think>\n{py(RIGHT)}",
    "thinking with an unclosed fence": f"<think>\n```python\n{WRONG}\n</think>\n{py(RIGHT)}",
    "two thoughts": f"<think>a</think>\nSo\n<think>\n{py(WRONG)}\n</think>\n{py(RIGHT)}",
    "a longer tag": f"<thinking>\n{py(WRONG)}\n</thinking>\n{py(RIGHT)}",
    "a thought in a tag with a colon": f"<seed:think>{py(WRONG)}</seed:think>{py(RIGHT)}",
    "a thought in tokens": f"<|begin_of_thought|>\n{py(WRONG)}\n<|end_of_thought|>\n{py(RIGHT)}",
    "the harmony format": f"<|channel|>analysis<|message|>{py(WRONG)}<|end|>"
    f"<|start|>assistant<|channel|>final<|message|>{py(RIGHT)}",
    "thinking in upper case": f"<THINK>{WRONG}</THINK>\n{py(RIGHT)}",
    "a better draft only after thinking": f"<think>{py(RIGHT)}</think>\nSo:\n{py(RIGHT)}",
}

SESSIONS = {
    "only a session": py(
        ">>> def double(x):\n...     return 2 * x\n...\n>>> double(2)\n4", "pycon"
    ),
    "a session tagged as Python": py(">>> def double(x):\n...     return 2 * x\n>>> double(1)\n2"),
}

SHAPES = {**FENCES, **TOKENS, **COMPANY, **VERSIONS, **PARTS, **THINKING, **SESSIONS}


def doubles(code: str | None) -> bool:
    assert code is not None
    scope: dict[str, object] = {"__name__": "answer"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, scope)  # noqa: S102 - written above
    function = scope["double"]
    assert callable(function)
    return bool(function(21) == 42)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_that_defines_what_was_asked_is_taken(shape: str) -> None:
    assert doubles(extract_code(SHAPES[shape], "double").code)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_taken_without_knowing_the_name_too(shape: str) -> None:
    assert doubles(extract_code(SHAPES[shape]).code)


def test_the_corpus_is_no_smaller_than_it_was() -> None:
    assert len(SHAPES) >= 75


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>\nLet me draft:\n{py(WRONG)}\nHmm, rather compute",
        f"<|channel|>analysis<|message|>{py(WRONG)}",
        "I cannot do that.",
        py("pip install numpy", "bash"),
        py("python double.py"),
        py("# your code here"),
        py("42", ""),
        "",
    ],
    ids=[
        "cut in thinking",
        "only a thinking channel",
        "words",
        "a shell block",
        "a shell command tagged as Python",
        "a comment",
        "output",
        "nothing",
    ],
)
def test_an_answer_without_a_program_gives_no_program(answer: str) -> None:
    assert extract_code(answer, "double").code is None


def test_a_script_in_parts_is_joined() -> None:
    area = "import math\n\ndef area(r):\n    return math.pi * r * r"
    loop = "for r in (1, 2):\n    print(round(area(r), 2))"
    answer = f"Step 1, the helper:\n{py(area)}\nStep 2, use it:\n{py(loop)}"
    code = extract_code(answer).code
    assert code is not None
    assert code.index("def area") < code.index("for r in")


def test_a_method_of_solution_counts_as_what_was_asked() -> None:
    method = "class Solution:\n    def double(self, x):\n        return 2 * x"
    helper = "def twice(x):\n    return x"
    answer = f"{py(method)}\nThe helper that I first had:\n{py(helper)}"
    assert extract_code(answer, "double").code == method


@pytest.mark.parametrize(
    "code",
    [
        'tag = "<think>"\nprint(text.split("</think>")[-1])',
        "text = '''\n<think>\n'''\nprint(text)",
        'END = "<|endoftext|>"\nprint(END)',
        "x = '[INST]'\nprint(x)",
    ],
)
def test_a_program_about_such_marks_stays_whole(code: str) -> None:
    assert extract_code(f"Here:\n{py(code)}").code == code


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("plain", "", "plain"),
        ("<think>a</think>b", "a", "b"),
        ("a\n</think>\n\nb", "a", "b"),
        ("<think>a", "a", ""),
        ("<think>a <think> b</think>c</think>d", "a <think> b", "c</think>d"),
        ("x\n<think>a</think>y", "a", "x\ny"),
        ("use `</think>` to end it", "", "use `</think>` to end it"),
        ("[THINK]a[/THINK]b", "a", "b"),
        ("◁think▷a◁/think▷b", "a", "b"),
        ("a < b and [c]", "", "a < b and [c]"),
    ],
)
def test_thinking_is_split_from_the_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)
