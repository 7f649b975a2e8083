"""The child process of `vllm-serve:`: vLLM's OpenAI server, until stdin is closed.

It reads the server's arguments as one line of JSON. It leads its own process group, so that the
engine's processes end with it, however its parent ends.
"""

import json
import os
import runpy
import signal
import sys
import threading
import time

_GRACE_SECONDS = 6.0


def main() -> None:
    """Serve with the arguments in the first line of stdin until stdin is closed."""
    arguments: list[str] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.argv = ["vllm", *arguments]
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
