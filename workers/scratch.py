"""A private folder for one attempt of a step, gone afterwards whatever happens."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _folder(home: Path, slot: str) -> Path:
    return home / "scratch" / slot.rpartition("/")[2]


@contextmanager
def scratch(home: Path, slot: str, step: str, token: int) -> Iterator[Path]:
    """An empty folder for that attempt of the slot `host/name`, for as long as the context lasts."""
    folder = _folder(home, slot) / f"{step}-{token}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(home, slot)


def remove(home: Path, slot: str) -> None:
    """Remove what a slot's attempt left, if it left anything: a killed one can't do it itself."""
    shutil.rmtree(_folder(home, slot), ignore_errors=True)


def sweep(home: Path) -> None:
    """Remove what all attempts left. Only for who knows that none is running."""
    shutil.rmtree(home / "scratch", ignore_errors=True)
