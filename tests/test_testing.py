"""The public test doubles, and the examples of their page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from opencodeinterpreter import testing

PAGE = Path(__file__).parent.parent / "docs" / "testing.md"
LOOP, SERVER = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.M)


@pytest.mark.parametrize(
    ("example", "output"),
    [(LOOP, "['revise', 'solved']\nTrue\n"), (SERVER, "Hello. 2 2\n")],
    ids=["loop", "server"],
)
def test_the_examples_of_the_page_run_as_they_stand(
    example: str, output: str, tmp_path: Path
) -> None:
    (tmp_path / "testing").mkdir()  # a host's own folder of that name must not be imported
    program = tmp_path / "example.py"
    program.write_text(example, "utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == output


def test_the_page_names_every_public_double() -> None:
    page = PAGE.read_text("utf-8")
    for name in testing.__all__:
        assert f"`{name}" in page
