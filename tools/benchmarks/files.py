"""The benchmarks' official files: where each comes from, its checksum, and the cache."""

import gzip
import hashlib
import lzma
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opencodeinterpreter.tools.atomic_file import write_atomically
from opencodeinterpreter.tools.errors import BenchmarkError, InputError

BenchmarkName = Literal["humaneval", "humaneval+", "mbpp", "mbpp+"]
_SECONDS = 60.0
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Source:
    """One version of a benchmark's official file."""

    version: str
    url: str
    sha256: str
    """Of the decompressed content, in hex."""
    variable: str | None = None
    """The environment variable with which EvalPlus lets one name a local file."""


SOURCES: dict[BenchmarkName, Source] = {
    "humaneval": Source(
        "1",
        "https://github.com/openai/human-eval/raw/master/data/HumanEval.jsonl.gz",
        "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",
    ),
    "humaneval+": Source(
        "v0.1.10",
        "https://github.com/evalplus/humanevalplus_release/releases/download/v0.1.10/"
        "HumanEvalPlus.jsonl.gz",
        "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f",
        "HUMANEVAL_OVERRIDE_PATH",
    ),
    "mbpp": Source(
        "1",
        "https://github.com/google-research/google-research/raw/master/mbpp/mbpp.jsonl",
        "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    ),
    "mbpp+": Source(
        "v0.2.0",
        "https://github.com/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
        "b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad",
        "MBPP_OVERRIDE_PATH",
    ),
}


def cache_folder() -> Path:
    """Return the cache folder: its content can be fetched or computed again."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "opencodeinterpreter" / "benchmarks"


def read_benchmark(name: BenchmarkName, path: Path | None = None) -> bytes:
    """Return the benchmark's file, decompressed.

    It is read from `path` (plain, .gz or .xz), else from the file that EvalPlus's variable names,
    else from the cache; it is fetched into the cache once and checked by its sha256. Raises
    InputError for a path that can't be read, BenchmarkError if the file can't be fetched.
    """
    source = SOURCES[name]
    if path is None and source.variable and (named := os.environ.get(source.variable)):
        path = Path(named)
    if path is not None:
        return unpacked(path)
    cached = cache_folder() / f"{name}-{source.version}.jsonl"
    if cached.exists():
        content = cached.read_bytes()
        if hashlib.sha256(content).hexdigest() == source.sha256:
            return content
    content = _fetch(name, source)
    write_atomically(cached, content)
    return content


def unpacked(path: Path) -> bytes:
    """Return a file's content, plain or from .gz or .xz; raises InputError."""
    readers = {".gz": gzip.decompress, ".xz": lzma.decompress}
    try:
        packed = path.read_bytes()
        return readers[path.suffix](packed) if path.suffix in readers else packed
    except FileNotFoundError:
        raise InputError(f"{path}: no such benchmark file") from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _fetch(name: str, source: Source) -> bytes:
    import urllib.request  # takes long to load, and is needed once

    way_out = "name a local copy with --data FILE" + (
        f" or the variable {source.variable}" if source.variable else ""
    )
    try:
        with urllib.request.urlopen(source.url, timeout=_SECONDS) as answer:
            content: bytes = answer.read(_MOST_BYTES)
        if source.url.endswith(".gz"):
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise BenchmarkError(
            f"{name}: {source.url} could not be fetched: {error}; {way_out}"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise BenchmarkError(
            f"{name}: {source.url} has the sha256 {found}, not {source.sha256}; {way_out}"
        )
    return content
