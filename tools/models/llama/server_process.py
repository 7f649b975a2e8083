"""The child process behind `local:`: llama.cpp's own OpenAI server, for as long as stdin is open.

A process of its own, because loading a model holds the interpreter lock for a second and closing
a busy server waits for its answers. It reads one line of JSON (path, name, slots, context,
threads, key), prints one with its URL, and ends with its parent, however that ends.
"""

import importlib
import json
import os
import sys
from typing import Any

_ERRORS_ONLY = 1


def main() -> None:
    """Serve the model that the first line of stdin names until stdin is closed."""
    wanted = json.loads(sys.stdin.readline())
    server = _server(**wanted)
    print(json.dumps({"url": f"{server.listening_address}/v1"}), flush=True)
    sys.stdin.read()
    os._exit(0)  # the server's own end would wait for answers that nobody reads any more


def _server(path: str, name: str, slots: int, context: int, threads: int, key: str) -> Any:
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {name}  # else answers would name the whole path
    params.n_parallel = slots
    params.n_ctx = slots * context
    for cores in (params.cpuparams, params.cpuparams_batch):
        cores.n_threads = threads
        cores.poll = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = "http://127.0.0.1"
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = _ERRORS_ONLY
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
