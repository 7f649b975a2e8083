"""Importing the package and printing help load no extras and no model clients."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opencodeinterpreter.cli.verb_group import VERBS, VerbGroup, description
from tests.command import INSTALLED

HEAVY = frozenset(
    {"vllm", "torch", "e2b", "e2b_code_interpreter", "xllamacpp", "langchain_openai", "openai"}
    | {"psycopg", "numpy", "tiktoken", "jinja2", "transformers", "trl", "datasets", "matplotlib"}
    | {"ray"}
)

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


def test_help_imports_no_verb_and_none_of_the_packages_that_verbs_stand_on(tmp_path: Path) -> None:
    told = tmp_path / "modules.json"
    script = (
        f"import json, sys\n{help_of('-h')}\njson.dump([*sys.modules], open({str(told)!r}, 'w'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(told.read_text()))
    assert not {name for name in loaded if name.startswith("opencodeinterpreter.cli.verbs.")}
    tops = {name.partition(".")[0] for name in loaded}
    assert tops & {"pydantic", "langgraph", "langchain_core", "structlog", "rich"} == set()


def test_every_verb_can_be_imported_and_has_a_summary() -> None:
    for name in VERBS:
        command = VerbGroup(name="all").get_command(None, name)
        assert command.help


def test_help_names_every_verb_with_its_whole_summary() -> None:
    columns = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run([str(INSTALLED), "--help"], capture_output=True, text=True, env=columns)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in VERBS:
        (line,) = [each for each in done.stdout.splitlines() if each.startswith(f"  {verb} ")]
        assert line.endswith(description(verb).splitlines()[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sing", "VERBS names 'sing', but cli/verbs/sing.py is missing"),
        ("__init__", "cli/verbs/__init__.py needs a function '__init__', the verb's own"),
    ],
)
def test_a_verb_without_its_module_or_function_is_named(name: str, words: str) -> None:
    with pytest.raises(LookupError, match=re.escape(words)):
        description(name)


def test_a_list_of_ended_runs_does_not_load_the_graph() -> None:
    """The graph's import would take longer than to list ten thousand runs."""
    source = (
        "import sys; from opencodeinterpreter.cli.verb_group import module_of; module_of('runs'); "
        "assert not {'langgraph.graph', 'langgraph.pregel'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
