"""
What the command line says, and where: data to stdout, talk to stderr.

Colour never carries meaning alone. With `--json` stdout holds exactly one JSON object.
"""

import json
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

talk = Console(stderr=True, highlight=False)
data = Console(highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, and nothing else.")]


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, title: str = "") -> None:
    """A table on stdout; columns whose name ends in `>` are numbers, set to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    data.print(table)


def say(text: str) -> None:
    """A line to the person at the terminal, who breaks it: in a log a sentence stays whole."""
    talk.print(text, markup=False, soft_wrap=True)


def print_error(message: str, hint: str) -> None:
    """`error: …`, a blank line, `hint: …`"""
    say(f"error: {message}")
    if hint:
        say(f"\nhint: {hint}")


def clock_time(instant: datetime) -> str:
    """An instant for people: UTC, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """`0:42`, `12:05`, `1:02:03`."""
    whole = timedelta(seconds=max(0, round(seconds)))
    text = str(whole)
    return text.removeprefix("0:").removeprefix("0") if whole < timedelta(hours=1) else text


def counted(number: int, what: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(count: float) -> str:
    """`812 B`, `4.2 MB`, `17.0 GB`: decimal, as networks and stores count."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
