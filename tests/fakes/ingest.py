"""The watcher as a process, and the delivery that it is given."""

import re
from pathlib import Path

from pipelines.tools import process
from tests.fakes.spine import Avant
from workers.settings import Settings


def film(document: Path) -> Path:
    """The file of the mezzanine."""
    named = re.search(r'\[mezzanine\]\s+file = "([^"]+)"', document.read_text())
    assert named
    return document.parent / named[1]


def argv(place: str | Path, *options: str) -> list[str]:
    return [*Avant(settings=Settings()).argv()[:2], "scripts.ingest", str(place), "--every", "0.1", *options]


def start(settings: Settings, place: str | Path, log: Path, *options: str) -> process.Child:
    return process.start(argv(place, *options), env=Avant(settings=settings).environment, log=log)
