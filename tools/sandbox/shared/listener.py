"""Handing on what a run prints while it runs."""

from opencodeinterpreter.tools.sandbox.protocol import OnStdout


class Listener:
    """Hands pieces on, and knows whether it ever did.

    Whoever was told a part of a run can't be told another: it can't be done again from there on.
    """

    def __init__(self, on_stdout: OnStdout | None) -> None:
        self._on_stdout = on_stdout
        self.told = False

    def hear(self, text: str) -> None:
        """Take a piece."""
        if self._on_stdout and text:
            self.told = True
            self._on_stdout(text)
