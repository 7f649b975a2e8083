"""Where runs are kept if no store is named."""

import os
from pathlib import Path


def default_store() -> str:
    """Return the path of the store that is used if none is named."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return str(Path(home) / "opencodeinterpreter" / "runs.sqlite")
