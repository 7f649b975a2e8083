"""Children forked ahead of runs, so that a run need not wait for its process."""

from collections import deque
from collections.abc import Callable

from opencodeinterpreter.tools.execution import SandboxLimits
from opencodeinterpreter.tools.sandbox.local.child import Child
from opencodeinterpreter.tools.sandbox.local.zygote_client import (
    ZygoteClient,
    ZygoteDiedError,
    kernel_limits,
)


class ReadyChildren:
    """Keeps up to `size` children with the limits of the last request."""

    def __init__(self, size: int, made: Callable[[Child], None]) -> None:
        """Keep `size` children; `made` is called with each child that is forked."""
        self._size = size
        self._made = made
        self._waiting: deque[Child] = deque()

    def take(self, zygote: ZygoteClient, limits: SandboxLimits) -> Child:
        """Return a child with these limits: one forked ahead if there is one, else a new one.

        The caller closes it. Raises ZygoteDiedError.
        """
        self._sort_out(zygote, limits)
        return self._waiting.popleft() if self._waiting else self._make(zygote, limits)

    def _make(self, zygote: ZygoteClient, limits: SandboxLimits) -> Child:
        child = Child(zygote, limits)
        self._made(child)
        return child

    def refill(self, zygote: ZygoteClient, limits: SandboxLimits) -> None:
        """Fork children for later runs."""
        self._sort_out(zygote, limits)
        try:
            while len(self._waiting) < self._size:
                self._waiting.append(self._make(zygote, limits))
        except ZygoteDiedError:
            # The next run starts another zygote.
            return

    def _sort_out(self, zygote: ZygoteClient, limits: SandboxLimits) -> None:
        wanted = kernel_limits(limits)
        kept: deque[Child] = deque()
        for child in self._waiting:
            fits = child.zygote is zygote and kernel_limits(child.limits) == wanted
            if fits and not child.ended.done():
                kept.append(child)
            else:
                child.close()
        self._waiting = kept

    def close(self) -> None:
        """End all waiting children."""
        for child in self._waiting:
            child.close()
        self._waiting.clear()
