"""A private folder for one attempt of a step, gone afterwards whatever happens."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _folder(home: Path, step: str, token: int) -> Path:
    return home / "scratch" / f"{step}-{token}"


@contextmanager
def scratch(home: Path, step: str, token: int) -> Iterator[Path]:
    """An empty folder for that attempt, for as long as the context lasts."""
    folder = _folder(home, step, token)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(home, step, token)


def remove(home: Path, step: str, token: int) -> None:
    """Remove what an attempt left, if it left anything: a killed worker can't do it itself."""
    shutil.rmtree(_folder(home, step, token), ignore_errors=True)


def sweep(home: Path) -> None:
    """Remove what all attempts left. Only for who knows that none is running."""
    shutil.rmtree(home / "scratch", ignore_errors=True)
