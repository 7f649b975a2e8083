"""The loss or the reward by step as a picture."""

from collections.abc import Sequence

from opencodeinterpreter.traces.training.folder import Folder, Point


def draw(points: Sequence[Point], folder: Folder) -> None:
    """Write the curve into the folder."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([each.step for each in points], [each.value for each in points])
    axes.set(xlabel="step", ylabel=folder.curve, ylim=(0, None))
    figure.savefig(folder.picture)
