"""Pass on what a run prints while it runs."""

from opencodeinterpreter.tools.sandbox.protocol import OnStdout


class Listener:
    """Passes pieces of stdout to a callback and records whether there were any.

    A run whose output was passed on cannot be repeated: the callback would get it twice.
    """

    def __init__(self, on_stdout: OnStdout | None) -> None:
        self._on_stdout = on_stdout
        self.tell = self._hear if on_stdout else None
        """Takes a piece of stdout, which then need not be kept; `None` without a listener."""
        self.told = False

    def _hear(self, text: str) -> None:
        if self._on_stdout and text:
            self.told = True
            self._on_stdout(text)
