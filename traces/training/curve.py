"""The loss by step as a picture."""

from collections.abc import Sequence
from pathlib import Path

from opencodeinterpreter.traces.training.folder import Loss


def draw(losses: Sequence[Loss], path: Path) -> None:
    """Write the curve to a file; its name's ending says the form: svg, png or pdf."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([each.step for each in losses], [each.loss for each in losses])
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    figure.savefig(path)
