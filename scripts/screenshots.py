"""Make the pictures of pages in docs/images anew, with Chromium.

    python scripts/screenshots.py

Look at each before you commit it: that is what they are for.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from opencodeinterpreter.traces.page.document import Page, html
from opencodeinterpreter.traces.page.indexes import folder_page
from opencodeinterpreter.traces.page.runs import runs_page
from tests.browser import Chromium, Tab, browser
from tests.command import Command, warm
from tests.test_cli_view_serve import asking, served
from tests.test_page import EXAMPLES, example

IMAGES = Path(__file__).parent.parent / "docs" / "images"
DRAWN = "new Promise(done => setTimeout(done, 300))"


@dataclass(frozen=True)
class View:
    """A page, and how it is looked at."""

    name: str
    page: Page
    turn: int = 0
    """Which turn is opened; 0 leaves the view with which the page begins."""
    size: tuple[int, int] = (1280, 860)
    scheme: str = "light"


def views() -> list[View]:
    """Return all views but the live one."""
    improved, drafted = runs_page([example("simulated_user")]), runs_page([example("live_drafts")])
    two = runs_page([example("never_solved"), example("branch_by_code")])
    return [
        View("wide", improved, 2),
        View("narrow", improved, 2, size=(390, 860)),
        View("dark", drafted, 2, scheme="dark"),
        View("diff", two),
        View("index", folder_page(EXAMPLES[0].parent, print), size=(1280, 640)),
    ]


def take(tab: Tab, name: str) -> None:
    """Take a picture when the page is drawn."""
    tab.value(DRAWN)
    tab.screenshot(IMAGES / f"{name}.png")


def take_view(chromium: Chromium, folder: Path, view: View) -> None:
    """Take the picture of a view."""
    path = folder / f"{view.name}.html"
    path.write_text(html(view.page), "utf-8")
    width, height = view.size
    with chromium.tab(path.as_uri(), width=width, height=height) as tab:
        tab.size(width, height, phone=width < 600)
        tab.scheme(view.scheme)
        for _ in range(view.turn - 1):
            tab.key("j")
            tab.value(DRAWN)
        tab.value("scrollTo(0, 0)")
        take(tab, view.name)


def take_live(chromium: Chromium, home: Path) -> None:
    """Take the picture of a run that waits for a person."""
    command = Command(home, warm)
    with (
        served(command, asking(command)) as site,
        chromium.tab(site.address, width=1280, height=860) as tab,
    ):
        take(tab, "live")


def main() -> None:
    """Take all pictures."""
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        for view in views():
            take_view(chromium, Path(folder), view)
        take_live(chromium, Path(folder))


if __name__ == "__main__":
    main()
