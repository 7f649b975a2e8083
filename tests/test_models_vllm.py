"""The parts of the vLLM backend that need no vLLM: options, arguments, errors, supervision."""

import asyncio
import os
import signal
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.vllm.options import (
    check_vllm,
    server_arguments,
    server_environment,
    vllm_options,
)

WITHOUT = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")


def flags(given: dict[str, object]) -> list[str]:
    return server_arguments(vllm_options("org/model", given), "model", 8000)


def test_prefix_caching_and_speculation_are_on_unless_left_to_vllm() -> None:
    options = vllm_options("m", {})
    assert options.engine["enable_prefix_caching"] is True
    assert options.engine["speculative_config"]["method"] == "ngram"
    assert "speculative_config" not in vllm_options("m", {"speculative_config": None}).engine


def test_engine_options_become_flags_of_the_server() -> None:
    given = {"max_model_len": 2048, "enforce_eager": True, "enable_prefix_caching": False}
    line = " ".join(flags({**given, "tool_call_parser": "hermes"}))
    assert "--max-model-len 2048 " in f"{line} "
    assert "--enforce-eager" in line and "--no-enable-prefix-caching" in line
    assert "--tool-call-parser hermes --enable-auto-tool-choice" in line
    assert '--speculative-config {"method": "ngram"' in line


def test_the_servers_key_is_in_its_environment_not_on_its_command_line() -> None:
    assert server_environment("sesame")["VLLM_API_KEY"] == "sesame"
    assert "api" not in " ".join(flags({}))


def test_a_chat_template_is_a_file_or_the_text_itself(tmp_path: Path) -> None:
    path = tmp_path / "template.jinja"
    path.write_text("{{ messages }}")
    for given in (str(path), "{{ messages }}"):
        assert vllm_options("m", {"chat_template": given}).chat_template == "{{ messages }}"
    with pytest.raises(InputError, match=r"chat template none\.jinja cannot be read"):
        vllm_options("m", {"chat_template": "none.jinja"})


def test_engine_options_are_recorded_only_if_there_are_any() -> None:
    assert "engine" not in ModelOptions().model_dump()
    options = ModelOptions(engine={"dtype": "float32"})
    assert ModelOptions.model_validate(options.model_dump()) == options


@WITHOUT
def test_a_missing_extra_names_the_commands() -> None:
    with pytest.raises(InputError, match=r"pip install 'opencodeinterpreter\[vllm\]'"):
        check_vllm("vllm:org/model", "org/model")


SERVING = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

arguments = sys.argv[1:]
if os.environ.get("VLLM_API_KEY") is None or "--model" not in arguments:
    sys.exit("ValueError: no key or model")
if arguments[arguments.index("--model") + 1].endswith("broken"):
    sys.exit("RuntimeError: the weights are broken")
HTTPServer(("127.0.0.1", int(arguments[arguments.index("--port") + 1])), Healthy).serve_forever()
"""

SUPERVISE = """
import asyncio, os, signal, sys
from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.vllm.options import vllm_options
from opencodeinterpreter.tools.models.vllm.served import Server

async def main(model, what):
    server = Server("vllm-serve:m", vllm_options(model, {}))
    try:
        async with server.running():
            first = server.pid
            print("first", first, flush=True)
            if what == "restart":
                os.kill(first, signal.SIGKILL)
                while server.pid == first:
                    await asyncio.sleep(0.05)
                await server.ready()
                print("again", server.starts, flush=True)
            if what == "wait":
                await asyncio.sleep(600)
    except OpenCodeInterpreterError as error:
        print(f"{type(error).__name__}: {error}")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Return a folder with a package `vllm` that only serves /health."""
    folder = tmp_path / "packages" / "vllm" / "entrypoints" / "openai"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent, folder.parent.parent):
        (place / "__init__.py").touch()
    (folder / "api_server.py").write_text(SERVING)
    return tmp_path / "packages"


async def supervise(packages: Path, model: str, what: str) -> asyncio.subprocess.Process:
    python = Path(sysconfig.get_path("scripts")) / "python"
    return await asyncio.create_subprocess_exec(
        python,
        "-c",
        SUPERVISE,
        model,
        what,
        env={**os.environ, "PYTHONPATH": str(packages)},
        stdout=asyncio.subprocess.PIPE,
    )


@WITHOUT
async def test_a_server_that_dies_is_restarted_and_ends_with_its_context(
    packages: Path,
) -> None:
    process = await supervise(packages, "m", "restart")
    output = (await process.communicate())[0].decode().split()
    assert output[0] == "first" and output[2:] == ["again", "2"]


@WITHOUT
async def test_the_error_says_why_a_server_does_not_start(packages: Path) -> None:
    process = await supervise(packages, "broken", "")
    output = (await process.communicate())[0].decode()
    assert output.startswith("ModelError: vllm-serve:m: vLLM's server did not start: ")
    assert "the weights are broken" in output


@WITHOUT
async def test_a_server_ends_with_its_killed_parent(packages: Path) -> None:
    process = await supervise(packages, "m", "wait")
    assert process.stdout
    server = int((await process.stdout.readline()).split()[1])
    watch = os.pidfd_open(server)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, ended.set)
    process.send_signal(signal.SIGKILL)
    try:
        async with asyncio.timeout(30):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)
        await process.wait()
