"""Opening E2B: errors name what is missing, and the SDK is imported only when used."""

import importlib.util
import os
import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.sandbox.e2b.sandbox import KEY_VARIABLE, open_e2b_sandbox
from opencodeinterpreter.tools.sandbox.e2b.settings import E2BSettings

installed = pytest.mark.skipif(
    importlib.util.find_spec("e2b_code_interpreter") is None, reason="needs the extra e2b"
)


def in_a_process(code: str) -> str:
    """Run code in another Python process, without an API key; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_importing_it_imports_no_sdk() -> None:
    code = (
        "import sys, opencodeinterpreter.tools.sandbox.e2b.sandbox\n"
        "print(sorted({'e2b', 'e2b_code_interpreter', 'httpx', 'pyqwest'} & set(sys.modules)))"
    )
    assert in_a_process(code) == "[]\n"


OPEN = (
    "import asyncio, sys\n"
    "from opencodeinterpreter.tools.errors import InputError\n"
    "from opencodeinterpreter.tools.sandbox.e2b.sandbox import open_e2b_sandbox\n"
    "async def main():\n"
    "    async with open_e2b_sandbox(): pass\n"
    "try: asyncio.run(main())\n"
    "except InputError as error: print(error)\n"
)


def test_without_the_extra_the_error_names_it() -> None:
    told = in_a_process("import sys; sys.modules['e2b_code_interpreter'] = None\n" + OPEN)
    assert "pip install 'opencodeinterpreter[e2b]'" in told


@installed
def test_without_a_key_the_error_names_the_variable() -> None:
    assert KEY_VARIABLE in in_a_process(OPEN)


@installed
async def test_an_empty_key_is_no_key() -> None:
    with pytest.raises(InputError, match=KEY_VARIABLE):
        async with open_e2b_sandbox(key=SecretStr("")):
            pass


def test_settings_are_plain_and_checked() -> None:
    settings = E2BSettings(internet_access=True)
    assert E2BSettings.model_validate_json(settings.model_dump_json()) == settings
    assert not E2BSettings().internet_access
    with pytest.raises(ValidationError, match="concurrency"):
        E2BSettings(concurrency=0)
    with pytest.raises(ValidationError, match="api_key"):
        E2BSettings.model_validate({"api_key": "e2b_secret"})


@installed
@pytest.mark.skipif(KEY_VARIABLE not in os.environ, reason=f"live: set {KEY_VARIABLE}")
async def test_live_a_run_and_a_context_on_e2b_itself() -> None:
    async with open_e2b_sandbox() as sandbox:
        told = await sandbox.run_code("print(input())", stdin="from E2B\n")
        assert (told.status, told.logs.stdout, told.tier) == ("ok", "from E2B\n", "e2b")
        shut = "import socket\nsocket.create_connection(('1.1.1.1', 53), 3)"
        assert (await sandbox.run_code(shut)).status == "error"
        context = await sandbox.create_context()
        await sandbox.run_code("x = 20", context=context)
        told = await sandbox.run_code("open('f', 'w').write('f'); x + 1", context=context)
        assert told.results[0].text == "21"
        assert await sandbox.read_file(context, "f") == b"f"
