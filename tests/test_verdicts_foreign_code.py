"""Nothing that the program writes is run by the process of the tests, or takes a file's place."""

import pytest

from opencodeinterpreter.tools.grading.tests import PythonTests
from opencodeinterpreter.tools.program import Program
from opencodeinterpreter.tools.runner import SandboxRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")


FORGE = """
import sys
for name, module in list(sys.modules.items()):
    if name.endswith("inside.python_tests"):
        module.outcome = lambda name, told, strict=False: dict(
            name=name, status="passed", message="", word="")
"""
CODE = f"""
import os, pickle, zipfile
FORGE = {FORGE!r}

def write(name):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    open(name, "w").write(FORGE)

def f(name):
    if name.endswith(".zip"):
        zipfile.ZipFile(name, "w").writestr("evil.py", FORGE)
    elif name:
        write(name)
    return 1

def text():
    return "[exec(" + repr(FORGE) + "), 9][1]"

class Bomb:
    def __reduce__(self):
        return exec, (FORGE,)

def name():
    return "wanted"
def pickled():
    return pickle.dumps(Bomb())
"""
FILES = {"helper.py": "A = 1\n", "later.py": "B = 1\n", "data.txt": "9", "conftest.py": ""}
BREACHES = {
    "a helper": "f('helper.py')\nimport helper",
    "a helper that is loaded anew": "import helper, importlib\nf('helper.py')\nimportlib.reload(helper)",
    "a helper that is imported late": "f('later.py')\nimport later",
    "a module of Python's": "f('colorsys.py')\nimport colorsys",
    "a package": "f('colorsys/__init__.py')\nimport colorsys",
    "a package's module": "f('own/part.py')\nimport own.part",
    "compiled code": "f('__pycache__/later.cpython-311.pyc')\nimport later",
    "a folder in the path": "import sys\nf('own/evil.py')\nsys.path.insert(0, 'own')\nimport evil",
    "an archive": "import sys\nf('evil.zip')\nsys.path.insert(0, 'evil.zip')\nimport evil",
    "a path": "import importlib.util as u\nf('evil.py')\nspec = u.spec_from_file_location('evil', 'evil.py')\n"
    "spec.loader.exec_module(u.module_from_spec(spec))",
    "runpy": "import runpy\nf('evil.py')\nrunpy.run_path('evil.py')",
    "exec of a file": "f('evil.py')\nexec(open('evil.py').read())",
    "a compiled file": "f('evil.py')\nexec(compile(open('evil.py').read(), 'evil.py', 'exec'))",
    "eval": "from solution import text\nassert eval(text()) == 9",
    "eval of a part": "from solution import text\nassert eval(f'{text()} + 0') == 9",
    "eval of a name": "from solution import name\nwanted = 9\nassert eval(name()) == wanted",
    "runpy of compiled code": "import runpy\nf('evil.pyc')\nrunpy.run_path('evil.pyc')",
    "exec": "from solution import text\nexec(f'got = {text()}')",
    "compile": "from solution import text\nassert eval(compile(text(), 'x', 'eval')) == 9",
    "a syntax tree": "import ast\nfrom solution import text\n"
    "assert eval(compile(ast.parse(text(), mode='eval'), 'x', 'eval')) == 9",
    "pickle": "import pickle\nfrom solution import pickled\npickle.loads(pickled())",
    "the tests' own file": "f('tests.py')",
    "the tests' conftest": "f('conftest.py')",
    "the tests' data": "f('data.txt')\nassert open('data.txt').read() != '9'",
    "the tests' data by another name": "f('own/../data.txt')",
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_what_the_program_writes_is_never_run(runner: SandboxRunner, breach: str) -> None:
    body = BREACHES[breach].replace("\n", "\n    ")
    source = f"from solution import f\ndef test_it():\n    {body}\n    assert f('') == 9\n"
    tests = PythonTests(source=f"{source}def test_more():\n    assert f('') == 9\n", files=FILES)
    execution = await runner.run(Program(code=CODE, tests=tests))
    assert not any(test.status == "passed" for test in execution.tests or ())


HARMLESS = {
    "text of the tests": "assert eval('1 + f(\"\")') == 2",
    "an expression of constants": "n = 3\nassert eval(f'{n} * (2 + 1)') == 9",
    "a literal": "import ast\nassert ast.literal_eval('[1, 2]') == [1, 2]",
    "a syntax tree of the program's": "import ast\nfrom solution import text\nassert ast.parse(text())",
    "a named tuple": "import collections\nassert collections.namedtuple('P', 'x y')(1, 2).y == 2",
    "a dataclass": "import dataclasses\nP = dataclasses.make_dataclass('P', ['x'])\nassert P(1).x == 1",
    "plain data, pickled": "import pickle\nassert pickle.loads(pickle.dumps({1, 2})) == {1, 2}",
    "an import": "import colorsys, helper\nassert helper.A == 1",
    "a file that it wrote": "f('own/out.py')\nassert 'sys' in open('own/out.py').read()",
}


@pytest.mark.parametrize("use", HARMLESS)
async def test_tests_still_run_code_of_their_own(runner: SandboxRunner, use: str) -> None:
    body = HARMLESS[use].replace("\n", "\n    ")
    tests = PythonTests(source=f"from solution import f\ndef test_it():\n    {body}\n", files=FILES)
    execution = await runner.run(Program(code=CODE, tests=tests))
    assert [test for test in execution.tests or () if test.status != "passed"] == []
