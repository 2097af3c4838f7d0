"""`avant bump EPISODE`: made by another deadline, or before everything else. When it is released is another matter."""

from datetime import datetime
from typing import Annotated

import typer

from pipelines.delivery import ReleaseTime
from pipelines.errors import DeliveryError
from pipelines.instant import Instant, resolve
from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, counted, say
from scripts.avant.retry import Episode
from workers.farm import consulted
from workers.settings import Settings


def bump(
    episode: Episode,
    deadline: Annotated[
        str, typer.Option(metavar='"2026-11-29 03:00 Europe/Paris"', help="When it must be ready.")
    ] = "",
    first: Annotated[bool, typer.Option("--first", help="Before everything else there is now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change how urgent an episode's steps are."""
    if bool(deadline) == first:
        raise typer.BadParameter("give either --deadline or --first")
    due = read_instant(deadline) if deadline else None
    with consulted(Settings()) as ledger:
        moved = ledger.bump(episode, due.utc if due else None)
    if as_json:
        console.print_json(
            {"episode": episode, "deadline": due and due.utc.isoformat(), "first": first, "steps": moved}
        )
    elif due:
        say(f"{episode}: {counted(moved, 'step')} due by {due.wall} ({clock_time(due.utc)}).")
    else:
        say(f"{episode}: {counted(moved, 'step')} before everything else.")


def read_instant(text: str) -> Instant:
    """`2026-11-29 03:00 Europe/Paris`, resolved. Raises `BadParameter` when it means no instant, or two."""
    wall, _, zone = text.strip().rpartition(" ")
    try:
        at = datetime.fromisoformat(wall)
    except ValueError as error:
        raise typer.BadParameter("write it as 2026-11-29 03:00 Europe/Paris") from error
    try:
        return resolve(ReleaseTime(at=f"{at:%Y-%m-%dT%H:%M:%S}", zone=zone))
    except DeliveryError as error:
        raise typer.BadParameter(f"{error.message} Or give it in UTC.") from error
