"""`avant cancel EPISODE`: nothing more is made for it, and it is not released. What viewers get stays."""

from dataclasses import asdict
from typing import Annotated

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, counted, say
from scripts.avant.release.asking import Who, Why, user
from scripts.avant.retry import Episode
from workers.farm import consulted
from workers.ledger import By
from workers.settings import Settings


def cancel(
    episode: Episode,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be stopped, and stop nothing.")] = False,
    why: Why = "",
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Call an episode off: begin nothing more for it, stop what runs for it alone, disarm its release."""
    settings = Settings()
    with consulted(settings) as ledger:
        by = By(who=who or settings.operator or user(), action="cancel", why=why)
        found = ledger.cancel(episode, dry_run=dry_run, by=by)
    if as_json:
        console.print_json({"episode": episode, "dry_run": dry_run, **asdict(found)})
        return
    say(f"{episode}, if it is called off:" if dry_run else f"{episode} is called off:")
    say(f"  not begun any more: {counted(len(found.dropped), 'step')}")
    say(f"  stopped within {settings.lease_seconds / 3:.0f} s: {', '.join(found.stopped) or 'nothing'}")
    say(f"  going on for other episodes: {counted(len(found.shared), 'step')}")
    if found.disarmed:
        say("  its release is disarmed")
