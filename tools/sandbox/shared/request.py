"""The request for a run, as one frame."""

import base64
from collections.abc import Mapping

from opencodeinterpreter.tools.sandbox.inside.frames import pack

Files = Mapping[str, str | bytes]


def pack_request(
    code: str | None,
    files: Files,
    *,
    stdin: str = "",
    cell: int | None = None,
    seed: int | None,
    cpu_seconds: float,
) -> bytes:
    """Return the frame that requests a run of `code`; for its fields see `inside.cell`."""
    told = {
        name: content if isinstance(content, str) else [base64.b64encode(content).decode()]
        for name, content in files.items()
    }
    asked = {"code": code, "files": told, "stdin": stdin, "cell": cell, "seed": seed}
    return pack({**asked, "cpu_seconds": cpu_seconds})
