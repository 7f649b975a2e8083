"""The HTML of a page: one file that loads nothing, whose scripts and styles are named by hash."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from opencodeinterpreter.tools.printable import printable
from opencodeinterpreter.traces.page.packing import Events, packed

_SCRIPTS = ("elements", "data", "loop", "code", "turn", "run", "compare", "index", "live", "main")
"""In the order in which they stand in the page's one script."""


@dataclass(frozen=True)
class Page:
    """What a page shows."""

    title: str
    contents: Mapping[str, Any]
    """Where the page begins: the runs that it holds, their families, the rows of an index."""
    events: Events
    """All else, unpacked when it is shown."""
    outline: str = ""
    """HTML that is shown without a script as well."""
    live: bool = False
    """Whether the page asks the server that it came from for news."""


def html(page: Page) -> str:
    """Return a page as HTML."""
    script, style = _script(), _asset("page.css")
    return _template().render(
        title=printable(page.title),
        policy=policy(live=page.live),
        style=Markup(style),  # our own file, named by hash
        script=Markup(script),
        contents=packed(page.contents),
        events=page.events,
        outline=Markup(page.outline),
        live=page.live,
    )


def policy(*, live: bool) -> str:
    """Return the Content-Security-Policy: nothing but the page's own script, style and images."""
    parts = [
        "default-src 'none'",
        f"script-src {_hash(_script())}",
        f"style-src {_hash(_asset('page.css'))}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*parts, "connect-src 'self'"] if live else parts)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


@cache
def _asset(name: str) -> str:
    return (files("opencodeinterpreter.traces.page") / "assets" / name).read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("page.html.jinja"))
