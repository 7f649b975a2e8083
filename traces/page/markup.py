"""Texts in the part of a page that is HTML from the start: names and failures may be hostile."""

from html import escape

from opencodeinterpreter.tools.printable import printable


def as_html(text: str) -> str:
    """Return a text as HTML that shows it, with the characters that steer a terminal or the
    direction of text written out.
    """
    return escape(printable(text))
