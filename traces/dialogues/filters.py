"""What is left out of a file of dialogues: too short ones, benchmarks' tasks, near-duplicates."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Protocol

from opencodeinterpreter.tools.canonical import digest
from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.frozen import Frozen
from opencodeinterpreter.traces.dialogues.benchmarks import BenchmarkText
from opencodeinterpreter.traces.dialogues.format import Dialogue, Dropped

GRAM = 10
"""How many words in a row tell a copy of a benchmark's text."""
_DISTINCT = 7
"""How many of them must differ and not be numbers: `1, 2, 3, …` and nested loops are in much code.

With 10 and 7, every prompt of HumanEval is recognised, and of the 974 tasks of MBPP one is taken
for a task of HumanEval.
"""
_SHORTEST = 5
"""A text in which no such words follow each other is looked for whole, if it has that many."""
_SHINGLE = 5
"""How many words in a row are compared for near-duplicates."""
_PERMUTATIONS = 128
_WORD = re.compile(r"\w+")

Gram = tuple[str, ...]


class Filter(Protocol):
    """Leaves dialogues out."""

    @property
    def reason(self) -> str:
        """Why it leaves dialogues out, in a few words."""
        ...

    def problem(self, dialogue: Dialogue) -> str | None:
        """Return what is wrong with this dialogue; `None` if it may stay."""
        ...


class Sifted(Frozen):
    """The dialogues that stay, and what was dropped."""

    kept: tuple[Dialogue, ...]
    dropped: tuple[Dropped, ...]


class Report(Frozen):
    """What a file of dialogues was made of: counts, and each thing that was dropped."""

    read: int
    kept: int
    reasons: dict[str, int]
    """How many were dropped for each reason."""
    ways: dict[str, int]
    """How many were kept of each way."""
    benchmarks: dict[str, int]
    """How many tasks of each benchmark's file were looked for. Empty: nothing was looked for."""
    dropped: tuple[Dropped, ...]


def sifted(packed: Iterable[Dialogue | Dropped], filters: Sequence[Filter]) -> Sifted:
    """Return the dialogues that all filters let stay, in their order."""
    kept: list[Dialogue] = []
    dropped: list[Dropped] = []
    for each in packed:
        found = each if isinstance(each, Dropped) else _dropped(each, filters)
        if found is not None:
            dropped.append(found)
        elif isinstance(each, Dialogue):
            kept.append(each)
    return Sifted(kept=tuple(kept), dropped=tuple(dropped))


def report_of(found: Sifted, benchmarks: dict[str, int]) -> Report:
    """Return the report about a file of dialogues."""
    return Report(
        read=len(found.kept) + len(found.dropped),
        kept=len(found.kept),
        reasons=dict(Counter(each.reason for each in found.dropped).most_common()),
        ways=dict(Counter(each.provenance.way for each in found.kept).most_common()),
        benchmarks=benchmarks,
        dropped=found.dropped,
    )


def _dropped(dialogue: Dialogue, filters: Sequence[Filter]) -> Dropped | None:
    for each in filters:
        detail = each.problem(dialogue)
        if detail is not None:
            origin = dialogue.provenance.origin
            return Dropped(origin=origin, reason=each.reason, detail=detail)
    return None


class TooShort:
    """Leaves out dialogues with too few answers."""

    reason = "too few answers"

    def __init__(self, fewest: int) -> None:
        self._fewest = fewest

    def problem(self, dialogue: Dialogue) -> str | None:
        """Return how many answers it has, if these are too few."""
        return f"{dialogue.answers}" if dialogue.answers < self._fewest else None


class Contamination:
    """Leaves out dialogues that repeat a benchmark's prompts, solutions or tests.

    Looks for `GRAM` words in a row, as the reports on code models of 2023 and later do.
    """

    reason = "contaminated"

    def __init__(self, texts: Iterable[BenchmarkText]) -> None:
        self._tasks: dict[Gram, str] = {}
        for text in texts:
            for gram in _telling(_words(text.text)):
                self._tasks.setdefault(gram, text.task)
        self._lengths = sorted({len(gram) for gram in self._tasks})

    def problem(self, dialogue: Dialogue) -> str | None:
        """Return the first task that it repeats, and the words that tell."""
        for message in dialogue.messages:
            words = _words(message.content)
            for length in self._lengths:
                for gram in _grams(words, length):
                    if (task := self._tasks.get(gram)) is not None:
                        return f"{task}: {' '.join(gram)}"
        return None


class NearDuplicates:
    """Leaves out dialogues that nearly equal an earlier one.

    MinHash (datasketch) finds candidates; the exact share of common runs of words decides.
    """

    reason = "near-duplicate"

    def __init__(self, similarity: float) -> None:
        """Take the Jaccard similarity from which two are duplicates; raises InputError."""
        check_installed()
        from datasketch import MinHashLSH

        self._similarity = similarity
        self._index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS)
        self._seen: dict[str, Dialogue] = {}

    def problem(self, dialogue: Dialogue) -> str | None:
        """Return the earlier dialogue that it nearly equals; without one, remember it."""
        from datasketch import MinHash

        shingles = _shingles(dialogue)
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([" ".join(each).encode() for each in sorted(shingles)])
        for key in sorted(map(str, self._index.query(sketch))):
            share = _jaccard(shingles, _shingles(self._seen[key]))
            if share >= self._similarity:
                return f"{share:.2f} of {self._seen[key].provenance.origin}"
        key = digest([dialogue.provenance.origin, len(self._seen)])
        self._index.insert(key, sketch)
        self._seen[key] = dialogue
        return None


def check_installed() -> None:
    """Raise InputError if the package that finds near-duplicates is missing."""
    if find_spec("datasketch") is None:
        raise InputError(
            "near-duplicates are found with the extra 'data': "
            "pip install 'opencodeinterpreter[data]'"
        )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str], length: int) -> Iterator[Gram]:
    for at in range(len(words) - length + 1):
        yield tuple(words[at : at + length])


def _telling(words: Sequence[str]) -> Iterator[Gram]:
    """Yield the runs of words by which a text is recognised; the whole text if it has none."""
    found = [gram for gram in _grams(words, GRAM) if _distinct(gram) >= _DISTINCT]
    if found:
        yield from found
    elif _distinct(words) >= _SHORTEST:
        yield tuple(words)


def _distinct(words: Iterable[str]) -> int:
    return len({word for word in words if not word.isdigit()})


def _shingles(dialogue: Dialogue) -> set[Gram]:
    words = _words(dialogue.text)
    return set(_grams(words, _SHINGLE)) or {tuple(words)}


def _jaccard(one: set[Gram], other: set[Gram]) -> float:
    return len(one & other) / len(one | other)
