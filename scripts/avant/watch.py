"""`avant watch EPISODE`: how far it is, live, from the ledger alone; from any host."""

import time

import typer

from pipelines.instant import Instant
from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, say
from scripts.avant.progress import Progress
from scripts.avant.retry import Episode
from scripts.avant.run import INTERRUPTED
from scripts.avant.status import described, found
from workers.farm import consulted
from workers.ledger import Ledger, Overview
from workers.outlook import seats
from workers.production import standstill
from workers.settings import Settings

#: Seconds from one look to the next.
INTERVAL = 1.0


def watch(episode: Episode, as_json: AsJson = False) -> None:
    """Show how an episode goes on until it is ready; end with its error's code when it can't be."""
    with consulted(Settings()) as ledger:
        try:
            overview = _followed(ledger, episode, quiet=as_json)
        except KeyboardInterrupt as stop:
            raise typer.Exit(INTERRUPTED) from stop
        if as_json:
            console.print_json(described(overview, ledger))
        else:
            say(f"{episode} is ready.")


def _followed(ledger: Ledger, episode: str, *, quiet: bool) -> Overview:
    """The episode once it is ready. Raises the error of what keeps it from that."""
    overview = found(ledger, episode)
    due = Instant(utc=overview.deadline, wall=clock_time(overview.deadline)) if overview.deadline else None
    with Progress(due, quiet=quiet) as progress:
        while not overview.ready:
            if error := standstill(overview):
                raise error
            progress.show(overview, [seat.lanes for seat in seats(ledger)])
            time.sleep(INTERVAL)
            overview = found(ledger, episode)
    return overview
