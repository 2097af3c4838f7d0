"""
WebKitGTK as Debian has it, by the driver that comes with it: WebDriver, which is JSON over HTTP.

It has no mode without a window, so it gets a screen that nobody sees.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import urllib3

from pipelines.tools import process

READY_WITHIN = 60.0
GRACE = 10.0
#: Seconds: the page itself gives up sooner, and says why.
SCRIPT = 600
#: Where Debian keeps it, by the version of its interface.
BROWSERS = ("webkit2gtk-4.1", "webkit2gtk-4.0", "webkitgtk-6.0")


def mini_browser() -> str | None:
    """The path of WebKitGTK's own small browser, which is in no PATH."""
    found = (path for name in BROWSERS for path in Path("/usr/lib").glob(f"*/{name}/MiniBrowser"))
    return next(map(str, found), None)


@dataclass(frozen=True, slots=True)
class Window:
    """The only one of a WebKit."""

    pool: urllib3.PoolManager
    #: Address of its session.
    session: str

    def goto(self, url: str) -> None:
        self.command("POST", "/url", url=url)

    def evaluate(self, expression: str, arg: object) -> Any:
        return self.command("POST", "/execute/sync", script=f"return ({expression})(arguments[0])", args=[arg])

    def command(self, method: str, path: str, **values: object) -> Any:
        body = json.dumps(values) if method == "POST" else None
        answer = self.pool.request(method, self.session + path, body=body)
        told = json.loads(answer.data)["value"]
        assert answer.status == 200, told["message"]
        return told


@contextmanager
def webkit(driver: str, screen: str, browser: str, folder: Path) -> Iterator[Window]:
    """A WebKit with `folder` as its home, for as long as the context lasts. `screen` is xvfb-run."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        # Its own sandbox does not work for root, nor in a container.
        "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
        "LIBGL_ALWAYS_SOFTWARE": "1",  # there is no graphics card
        "NO_AT_BRIDGE": "1",  # nor a desktop's bus
    }
    port = _unused_port()
    argv = [screen, "-a", driver, f"--port={port}", "--host=127.0.0.1"]
    child = process.start(argv, env=environment, log=folder / "webkit.log")
    timeout = urllib3.Timeout(connect=5, read=SCRIPT + GRACE)
    try:
        with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
            address = f"http://127.0.0.1:{port}"
            _wait(pool, address, folder)
            options = {"binary": browser, "args": ["--automation", "--autoplay-policy=allow"]}
            asked = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
            told = Window(pool, address).command("POST", "/session", capabilities=asked)
            window = Window(pool, f"{address}/session/{told['sessionId']}")
            window.command("POST", "/timeouts", script=1000 * SCRIPT)
            yield window
            window.command("DELETE", "")
    finally:
        process.stop(child, GRACE)


def _wait(pool: urllib3.PoolManager, address: str, folder: Path) -> None:
    until = time.monotonic() + READY_WITHIN
    while True:
        try:
            pool.request("GET", f"{address}/status")
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < until, f"WebKitWebDriver does not answer; see {folder / 'webkit.log'}"
            Event().wait(0.05)
        else:
            return


def _unused_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
