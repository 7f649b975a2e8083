"""The child process that gets a file of the Hugging Face hub: `python -m … REPOSITORY FILE`.

A process of its own, because the client takes long to import and its download cannot be cancelled
in a thread. It prints the folder that grows meanwhile, then the path of the file.
"""

import importlib
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Print the path of the file, from the hub's cache on this machine or else downloaded to it."""
    repository, name = sys.argv[1:]
    hub: Any = importlib.import_module("huggingface_hub")
    constants: Any = importlib.import_module("huggingface_hub.constants")
    folder = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
    print(folder, flush=True)
    found = hub.try_to_load_from_cache(repository, name)
    if not isinstance(found, str):
        try:
            found = hub.hf_hub_download(repository, name)
        except Exception as error:  # any class of the client's: the parent tries another source
            sys.exit(" ".join(str(error).split()))
    print(found)


if __name__ == "__main__":
    main()
