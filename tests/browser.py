"""Drives Debian's Chromium by its DevTools protocol, for tests of pages.

with browser() as chromium, chromium.tab(page.as_uri()) as tab:
    tab.click("a[href='#index']")
    assert tab.value("document.title") == "All runs"
    assert not tab.problems
"""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE = 30.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # It runs as root in CI; what it opens are our own files.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

_MIDDLE = """
(() => {
  const found = document.querySelector(SELECTOR);
  if (!found) return null;
  found.scrollIntoView({block: "center", behavior: "instant"});
  const box = found.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()
"""


def serious(tab: "Tab") -> list[str]:
    """Return what axe finds in a page that is serious for somebody."""
    found = find_spec("axe_core_python")
    assert found is not None and found.origin is not None
    tab.value((Path(found.origin).parent / "axe.min.js").read_text("utf-8"))
    report: dict[str, Any] = json.loads(tab.value("axe.run().then(JSON.stringify)"))
    return [
        f"{each['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for each in report["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def chromium_path() -> str | None:
    """Return Chromium's path; `None` where it is not installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@dataclass
class Tab:
    """An open page, and what went wrong in it."""

    connection: ClientConnection
    problems: list[str] = field(default_factory=list)
    """Exceptions, errors on the console, and violations of the policy."""
    requests: list[str] = field(default_factory=list)
    """The URLs that were asked for."""
    _number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self.connection.send(json.dumps(message))
        while True:
            answer = json.loads(self.connection.recv(timeout=PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._heard(answer)

    def _heard(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(about["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "assert"):
                self.problems.append(json.dumps(about["args"])[:500])
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.problems.append(about["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Page.javascriptDialogOpening":
                self.problems.append(f"dialog: {about['message']}")

    def value(self, script: str) -> Any:
        """Return what a script gives, awaited."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str) -> Any:
        """Wait until a script gives something true, and return that."""
        until = time.monotonic() + PATIENCE
        while (found := self.value(script)) in (None, False, 0, ""):  # an element reads as {}
            assert time.monotonic() < until, f"{script} stayed {found!r}; {self.problems}"
            time.sleep(0.02)
        return found

    def go(self, url: str) -> None:
        """Open a URL and wait until the page has drawn its first view."""
        self.call("Page.navigate", url=url)
        self.wait("document.documentElement?.dataset.ready === 'yes'")

    def click(self, selector: str) -> None:
        """Click on the first element of a selector, with the mouse."""
        box = self.wait(_MIDDLE.replace("SELECTOR", json.dumps(selector)))
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    def key(self, name: str) -> None:
        """Press a key by its DOM name."""
        text = {"text": name} if len(name) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Set the size of the view in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )

    def scheme(self, name: str) -> None:
        """Prefer `dark` or `light`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def text(self, selector: str = "body") -> str:
        """Return the text of an element as it is shown."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def printed(self) -> None:
        """Show the page as it is printed."""
        self.call("Emulation.setEmulatedMedia", media="print")

    def screenshot(self, path: Path) -> None:
        """Write a PNG of the view."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@dataclass(frozen=True)
class Chromium:
    """A running browser."""

    address: str

    @contextlib.contextmanager
    def tab(self, url: str, *, width: int = 1280, height: int = 900) -> Iterator[Tab]:
        """Open a page in a tab of its own and wait until it is drawn."""
        made = self._ask("new?about:blank")
        with connect(made["webSocketDebuggerUrl"], max_size=None) as connection:
            tab = Tab(connection)
            for domain in ("Page", "Runtime", "Log", "Network"):
                tab.call(f"{domain}.enable")
            tab.size(width, height)
            tab.go(url)
            yield tab
        with contextlib.suppress(OSError):
            self._ask(f"close/{made['id']}")

    def _ask(self, path: str) -> Any:
        request = urllib.request.Request(f"http://{self.address}/json/{path}", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            body = answer.read()
        return json.loads(body) if body.startswith(b"{") else None


@contextlib.contextmanager
def browser() -> Iterator[Chromium]:
    """Start Chromium without a window and with a profile of its own; end it afterwards."""
    path = chromium_path()
    assert path, "Chromium is not installed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Chromium(f"127.0.0.1:{_port(Path(profile), process)}")
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    told = profile / "DevToolsActivePort"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if told.exists() and (lines := told.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not start (exit status {process.poll()})")
