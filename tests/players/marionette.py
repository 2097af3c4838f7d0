"""
Firefox as Debian has it, by the remote control that is built into it. Playwright drives only a Firefox of its own.

Marionette speaks JSON over a socket, each message after its length and a colon: `[0, number, command, arguments]`, and
back `[1, number, error, result]`. The commands are WebDriver's.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRWPair
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

from pipelines.tools import process

READY_WITHIN = 60.0
GRACE = 10.0
#: Milliseconds: the page itself gives up sooner, and says why.
SCRIPT = 600_000

PREFERENCES = {
    "marionette.port": 0,  # any; it says which in its profile
    "media.autoplay.default": 0,  # nobody is there to click
    "media.autoplay.blocking_policy": 0,
    "app.update.enabled": False,  # it has no business on the network
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


@dataclass(frozen=True, slots=True)
class Tab:
    """The only one of a Firefox."""

    wire: BufferedRWPair
    numbers: "count[int]"

    def goto(self, url: str) -> None:
        self.command("WebDriver:Navigate", url=url)

    def evaluate(self, expression: str, arg: object) -> Any:
        script = f"return ({expression})(arguments[0])"
        return self.command("WebDriver:ExecuteScript", script=script, args=[arg], sandbox=None)["value"]

    def command(self, name: str, **arguments: object) -> Any:
        message = json.dumps([0, next(self.numbers), name, arguments]).encode()
        self.wire.write(b"%d:%s" % (len(message), message))
        self.wire.flush()
        _, _, error, result = self.hear()
        assert not error, error["message"]
        return result

    def hear(self) -> Any:
        length = b""
        while (digit := self.wire.read(1)).isdigit():
            length += digit
        return json.loads(self.wire.read(int(length)))


@contextmanager
def firefox(program: str, folder: Path) -> Iterator[Tab]:
    """Firefox without a window and with a new profile in `folder`, for as long as the context lasts."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines), encoding="utf-8")
    argv = [program, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    child = process.start(argv, env={**os.environ, "HOME": str(folder)}, log=folder / "firefox.log")
    try:
        with socket.create_connection(("127.0.0.1", _port(folder))) as connection:
            tab = Tab(connection.makefile("rwb"), count(1))
            tab.hear()  # who it is
            tab.command("WebDriver:NewSession")
            tab.command("WebDriver:SetTimeouts", script=SCRIPT)
            yield tab
    finally:
        process.stop(child, GRACE)


def _port(folder: Path) -> int:
    """What Firefox wrote once it listened."""
    said, until = folder / "MarionetteActivePort", time.monotonic() + READY_WITHIN
    while not (said.exists() and said.read_text()):
        assert time.monotonic() < until, f"Firefox does not answer; see {folder / 'firefox.log'}"
        Event().wait(0.05)
    return int(said.read_text())
