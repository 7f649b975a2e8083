"""Refuse a checkout without symbolic links; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

PACKAGE = Path(__file__).parent / "opencodeinterpreter"
FLAT = sorted(path.name for path in PACKAGE.iterdir() if path.is_file() and not path.suffix)
"""Rooms that git wrote as text files."""

if FLAT:
    sys.exit(
        f"error: opencodeinterpreter/{FLAT[0]} should be a symbolic link, and is a file; run: "
        "git config core.symlinks true && git checkout -- opencodeinterpreter"
    )
setup()
