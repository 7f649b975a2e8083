"""Names of signals for the `reason` of an execution."""

import signal


def signal_name(number: int) -> str:
    """Return the name of a signal (`SIGKILL`), or `signal 40` if it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
