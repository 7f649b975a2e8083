"""Skip work after a fork that only processes with several threads need.

After a fork, `threading` walks all former threads, which takes a tenth of a whole run. The zygote
has one thread, and only its kernel id changes.
"""

import threading

_after_fork = threading._after_fork  # type: ignore[attr-defined]
_whole = _after_fork.__code__


def _nothing() -> None:
    return


def expect_one_thread() -> None:
    """Make children of this process skip what `threading` does after a fork."""
    # The interpreter holds a reference to the function, so its code is replaced.
    _after_fork.__code__ = _nothing.__code__


def be_usual() -> None:
    """Undo this in a child, which may start threads and processes."""
    _after_fork.__code__ = _whole
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
