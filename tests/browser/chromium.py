"""A headless Chromium, driven by the protocol of its developer tools over a WebSocket: no driver in between."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root has no other way in a container; the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
KEYS = {"Tab": 9, "Enter": 13, "Home": 36, "End": 35, "ArrowLeft": 37, "ArrowRight": 39}


def find_chromium() -> str | None:
    """Return the path of a Chromium on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """The process."""

    def __init__(self, binary: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="ksb")
        environ = {**os.environ, "HOME": self._profile}
        argv = [binary, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"]
        self._log = open(f"{self._profile}/log", "wb")  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(argv, stdout=self._log, stderr=self._log, env=environ, start_new_session=True)
        self._address = self._wait_for_address()

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"DevTools listening on ws://([^/\s]+)/", Path(self._profile, "log").read_text())
            if found:
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(Path(self._profile, "log").read_text()[-2000:])

    def open_page(self) -> Page:
        """Return a page of its own."""
        request = urllib.request.Request(f"http://{self._address}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return Page(json.load(answer)["webSocketDebuggerUrl"])

    def close(self) -> None:
        """End it, with everything of it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)


class Page:
    """One tab. ``problems`` are errors of the console, exceptions and violations of the page's policy."""

    def __init__(self, url: str) -> None:
        self._open = contextlib.ExitStack()
        # no pings: a browser whose machine is busy answers them late, and is well
        how: Any = {"compression": None, "ping_interval": None}
        line = connect(url, max_size=None, open_timeout=PATIENCE_S, close_timeout=1, **how)
        self._line = self._open.enter_context(line)
        self._last = 0
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Ask for something; what happened meanwhile is taken note of."""
        self._last += 1
        self._line.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            said = json.loads(self._line.recv(timeout=PATIENCE_S))
            if said.get("id") == self._last:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        method, params = said.get("method"), said.get("params", {})
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
            self.problems.append(json.dumps(params["args"])[:500])

    def evaluate(self, expression: str) -> Any:
        """Return the value of JavaScript; a promise is waited for."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(json.dumps(done["exceptionDetails"])[:1000])
        return done["result"].get("value")

    def wait_for(self, condition: str, timeout_s: float = PATIENCE_S) -> Any:
        """Wait until JavaScript is true, inside of the page; return its value."""
        found = self.evaluate(
            f"new Promise((done) => {{ const end = Date.now() + {timeout_s * 1000:.0f};"
            f"const look = () => {{ const found = ({condition});"
            "if (found || Date.now() > end) done(found); else setTimeout(look, 25); }; look(); })"
        )
        if not found:
            raise TimeoutError(f"{condition}\n{self.problems}\n{self.evaluate('document.body.innerText')[:2000]}")
        return found

    def go(self, url: str) -> None:
        """Load a page and wait until its scripts have run."""
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def show(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Have a window of that size, light or dark."""
        is_phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key, as somebody does."""
        text = {"text": "\r"} if key == "Enter" else {}
        fields = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **fields, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    def keep_picture(self, path: Path) -> None:
        """Write the whole page as PNG."""
        self.evaluate("scrollTo(0, 0)")  # what sticks to the window's edge belongs there
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        width = self.evaluate("innerWidth")  # a scroll bar is none of the picture
        clip = {"x": 0, "y": 0, "width": width, "height": size["height"], "scale": 1}
        done = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip)
        path.write_bytes(base64.b64decode(done["data"]))

    def close(self) -> None:
        """Close the connection."""
        self._open.close()
