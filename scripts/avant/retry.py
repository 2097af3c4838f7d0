"""`avant retry EPISODE [STEP]`: another chance for what failed, once somebody has put it right."""

from typing import Annotated

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, counted, say
from workers.farm import consulted
from workers.settings import Settings

Episode = Annotated[str, typer.Argument(metavar="EPISODE", help="As `avant status` calls it.")]


def retry(
    episode: Episode,
    step: Annotated[str, typer.Argument(metavar="STEP", help="Only this one, by its id or label.")] = "",
    as_json: AsJson = False,
) -> None:
    """Try again what failed, was quarantined or waits after a failure, as if it had never been tried."""
    with consulted(Settings()) as ledger:
        again = ledger.retry(episode, step or None)
    if as_json:
        console.print_json({"episode": episode, "retried": again})
    elif again:
        say(f"{episode}: {counted(len(again), 'step')} to be tried again: {', '.join(again)}.")
    else:
        say(f"Nothing of {episode} has failed.")
