"""What an import, and asking for help, may not load: extras and clients of models."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import INSTALLED

HEAVY = frozenset(
    {"vllm", "torch", "e2b", "e2b_code_interpreter", "xllamacpp", "langchain_openai", "openai"}
    | {"psycopg", "numpy", "tiktoken"}
)

WORK = ("solve", "resume", "branch", "demo", "doctor")
READ = ("runs", "show", "replay", "export", "import")

IMPORT = "import opencodeinterpreter\n"
SURFACE = IMPORT + "for name in opencodeinterpreter.__all__: getattr(opencodeinterpreter, name)\n"
HELP = """
import runpy
sys.argv = [{command!r}, {verb!r}, "--help"]
try:
    runpy.run_path({command!r}, run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended
"""


def help_of(verb: str) -> str:
    return HELP.format(command=str(INSTALLED), verb=verb)


@pytest.mark.parametrize(
    "source",
    [IMPORT, SURFACE, help_of("--log-json"), help_of("solve")],
    ids=["import", "whole surface", "--help", "solve --help"],
)
def test_nothing_heavy_is_loaded(source: str, tmp_path: Path) -> None:
    told = tmp_path / "modules.json"
    script = f"import json, sys\n{source}\njson.dump(sorted(sys.modules), open({str(told)!r}, 'w'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(told.read_text())}
    assert "opencodeinterpreter" in loaded
    assert loaded & HEAVY == set()


def test_help_names_every_verb() -> None:
    done = subprocess.run([str(INSTALLED), "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in (*WORK, *READ):
        assert f"\n  {verb} " in done.stdout
