"""Code that runs inside a sandbox depends on the standard library and on its own side alone."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opencodeinterpreter import tools

ROOM = Path(tools.__path__[0])
PACKAGE = "opencodeinterpreter"
MAY_IMPORT = {
    "sandbox/inside": ("sandbox/inside",),
    "sandbox/e2b/inside": ("sandbox/e2b/inside", "sandbox/inside"),
    "grading/inside": ("grading/inside",),
    "benchmarks/inside": ("benchmarks/inside", "grading/inside"),
}
"""Each folder of code that runs inside, and the folders of ours that it may import from."""
OPTIONAL = {
    ("benchmarks/inside/comparer.py", "numpy"),
    ("grading/inside/wire.py", "numpy"),
    ("sandbox/e2b/inside/kernel_setup.py", "numpy"),
    ("sandbox/e2b/inside/kernel_setup.py", "IPython"),
    ("grading/inside/emptiness.py", "numpy"),
}
"""Packages that a module uses where they are installed; the import is guarded."""
NEEDED = {
    "benchmarks/inside/evalplus_rules.py": {"numpy"},
    "grading/inside/emptiness.py": {"pytest"},
    "grading/inside/python_tests.py": {"pytest", "_pytest"},
    "grading/inside/watch.py": {"pytest"},
}
"""Packages without which a module is of no use; a sandbox whose Python lacks them says so."""
FILES = sorted(file.relative_to(ROOM).as_posix() for file in ROOM.glob("**/inside/**/*.py"))


def imports(tree: ast.AST, guarded: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each imported name, and whether a `try` or `with` stands around the import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((f"{module}.{alias.name}", guarded) for alias in node.names)
        yield from imports(node, guarded or isinstance(node, ast.Try | ast.With))


def allowed(file: str, name: str, *, guarded: bool) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if top == PACKAGE:
        folder = next(folder for folder in MAY_IMPORT if file.startswith(f"{folder}/"))
        own = (f"{PACKAGE}.tools.{other.replace('/', '.')}." for other in MAY_IMPORT[folder])
        return name.startswith(tuple(own))
    if top in NEEDED.get(file, ()):
        return True
    return guarded and (file, top) in OPTIONAL


def test_every_folder_of_inside_code_is_known() -> None:
    assert {Path(file).parent.as_posix() for file in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", FILES)
def test_inside_code_imports_the_standard_library_and_inside_code_alone(file: str) -> None:
    found = imports(ast.parse((ROOM / file).read_text()))
    assert [name for name, guarded in found if not allowed(file, name, guarded=guarded)] == []
