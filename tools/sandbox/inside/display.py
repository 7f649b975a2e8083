"""Convert what a cell shows into plain data, in the sealed child.

The forms are those of Jupyter's display protocol: `_repr_html_` and so on
(https://ipython.readthedocs.io/en/stable/config/integrating.html).
"""

import base64
import io
import json
import math
import os
import sys
from collections.abc import Container, Mapping

_TEXT = 64 << 10
_FORM = 2 << 20
"""Maximum number of characters of a `repr`, which is cut, and of other forms, which are dropped."""
_JSON = 32 << 10
_DEPTH = 32
_WORD = 2**63
"""Bounds of a form that is JSON: characters, lists within lists, and integers."""
_TOTAL = 4 << 20
"""Maximum number of characters of all results of a cell."""
_METHODS = {
    "html": "_repr_html_",
    "markdown": "_repr_markdown_",
    "latex": "_repr_latex_",
    "svg": "_repr_svg_",
    "png": "_repr_png_",
    "jpeg": "_repr_jpeg_",
    "pdf": "_repr_pdf_",
    "javascript": "_repr_javascript_",
    "json_value": "_repr_json_",
}
_FIGURES = 20
_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".gif", ".webp")

Shown = dict[str, object]


def show(value: object) -> list[Shown]:
    """Return the results for a last expression's value and the open figures; close those."""
    shown = [] if value is None else [{"is_main_result": True, **forms(value)}]
    room = _TOTAL
    kept: list[Shown] = []
    for result in [*shown, *_figures()]:
        size = sum(len(form) for form in result.values() if isinstance(form, str))
        room -= size
        kept.append(result if room > 0 else {"text": f"(left out: {size} characters)"})
    return kept


def forms(value: object) -> Shown:
    """Return every form that `value` has. A form whose method fails is left out."""
    told: Shown = {"text": _text(value)}
    for name, method in _METHODS.items():
        form = _form(value, method)
        if form is not None:
            told[name] = form
    return told


def plain(value: object, depth: int = _DEPTH) -> object:
    """Return a JSON value without unpaired surrogates, which files and databases refuse.

    Raises ValueError for what some of them refuse too: an integer of more than 64 bits, a float
    that is not finite, more than `depth` lists and objects within each other.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int | float):
        if isinstance(value, int) and not -_WORD <= value < _WORD:
            raise ValueError("an integer has more than 64 bits")
        if not math.isfinite(value):
            raise ValueError(f"{value} is not JSON")
        return value
    if isinstance(value, list | dict) and depth == 0:
        raise ValueError(f"more than {_DEPTH} lists and objects within each other")
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item, depth - 1) for key, item in value.items()}
    return value


def _text(value: object) -> str:
    try:
        text = repr(value)
    except Exception as error:
        return f"(its repr raised {type(error).__name__})"
    return text if len(text) <= _TEXT else text[:_TEXT] + "..."


def _form(value: object, method: str) -> object:
    # A class has the method too, but it needs an instance.
    if isinstance(value, type) or not hasattr(type(value), method):
        return None
    try:
        form = getattr(value, method)()
        if isinstance(form, bytes):
            form = base64.b64encode(form).decode()
        elif isinstance(form, Mapping | list):
            text = json.dumps(form)
            return plain(json.loads(text)) if len(text) <= _JSON else None
    except Exception:
        return None
    return form if isinstance(form, str) and len(form) <= _FORM else None


def save_figures(given: Container[str]) -> None:
    """Save the open figures as `figure-1.png` …, since nobody sees what a program shows.

    Does nothing if the program saved a picture itself; the files in `given` are not its own.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    names = [name for name in os.listdir() if name not in given]  # noqa: PTH208 - it costs less
    if pyplot is None or any(name.endswith(_PICTURES) for name in names):
        return
    for place, number in enumerate(pyplot.get_fignums()[:_FIGURES], 1):
        pyplot.figure(number).savefig(f"figure-{place}.png", bbox_inches="tight")


def _figures() -> list[Shown]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return []
    found: list[Shown] = []
    for number in pyplot.get_fignums()[:_FIGURES]:
        figure = pyplot.figure(number)
        image = io.BytesIO()
        figure.savefig(image, format="png", bbox_inches="tight")
        found.append({"text": repr(figure), "png": base64.b64encode(image.getvalue()).decode()})
    pyplot.close("all")
    return found
