"""`avant cancel EPISODE`: nothing more is made for it, and it is not released. What viewers get stays."""

from dataclasses import asdict
from typing import Annotated

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, say
from scripts.avant.retry import Episode
from workers.farm import consulted
from workers.settings import Settings


def cancel(
    episode: Episode,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be stopped, and stop nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Call an episode off: begin nothing more for it, stop what runs for it alone, disarm its release."""
    settings = Settings()
    with consulted(settings) as ledger:
        found = ledger.cancel(episode, dry_run=dry_run)
    if as_json:
        console.print_json({"episode": episode, "dry_run": dry_run, **asdict(found)})
        return
    would = "would be" if dry_run else "are"
    say(f"{episode}: {len(found.dropped)} steps {would} dropped, {len(found.shared)} go on for other episodes.")
    if found.stopped:
        patience = settings.lease_seconds / 3
        say(f"{len(found.stopped)} {would} stopped within {patience:.0f} s: {', '.join(found.stopped)}.")
    if found.disarmed:
        say("Its release would be disarmed." if dry_run else "Its release is disarmed.")
