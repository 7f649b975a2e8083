"""Forking a process that has one thread only, without the work that others would need.

After a fork `threading` looks through all threads that were, which takes a tenth of a whole run.
A zygote has one thread, for which nothing changes but its kernel id.
"""

import threading

_after_fork = threading._after_fork  # type: ignore[attr-defined]
_whole = _after_fork.__code__


def _nothing() -> None:
    return


def expect_one_thread() -> None:
    """Let children of this process skip what `threading` does after a fork."""
    # The interpreter holds the function itself, so only its inside can change.
    _after_fork.__code__ = _nothing.__code__


def be_usual() -> None:
    """Undo that in a child, which may have threads and children of its own."""
    _after_fork.__code__ = _whole
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
