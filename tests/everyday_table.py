"""The table of everyday tests in `everyday`: right programs, wrong twins, and their tests."""

import re
from pathlib import Path
from typing import NamedTuple

_CASE = re.compile(
    r"^## (?P<name>[^\n]+)\n```python\n(?P<code>.+?)^```\n"
    r"wrong: `(?P<old>[^\n]+?)` → `(?P<new>[^\n]*?)`\n```python\n(?P<tests>.+?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Everyday(NamedTuple):
    """A program and its tests, as people write them."""

    right: str
    wrong: str
    tests: str


def everyday() -> dict[str, Everyday]:
    """Return all cases by name."""
    found = {}
    for path in sorted(Path(__file__).with_name("everyday").glob("*.txt")):
        for name, code, old, new, tests in _CASE.findall(path.read_text("utf-8")):
            assert code.count(old) == 1, f"{name}: {old} stands {code.count(old)} times"
            found[name] = Everyday(code, code.replace(old, new), tests)
    return found
