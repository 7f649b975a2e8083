"""The embedded model, for tests that ask it."""

import asyncio

import pytest

from opencodeinterpreter.tools.errors import OpenCodeInterpreterError
from opencodeinterpreter.tools.models.gguf import fetch_smollm2
from opencodeinterpreter.tools.models.local import SMOLLM2, check_local


def require_local_model() -> None:
    """Fetch the model where it is not there yet; skip the test where it cannot be had."""
    try:
        check_local(SMOLLM2)
        asyncio.run(fetch_smollm2())
    except OpenCodeInterpreterError as error:
        pytest.skip(str(error))
