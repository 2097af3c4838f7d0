"""`avant release drop EPISODE NAME`: a declared fallback is taken, so that the release is in time."""

from typing import Annotated

import typer

from pipelines.errors import ReleaseError
from scripts.avant import console
from scripts.avant.console import say
from scripts.avant.release.asking import Asked, asks
from scripts.avant.release.screen import Screen, print_screen, told
from scripts.avant.release.show import zone_of
from scripts.avant.retry import Episode
from workers.degrade import remedies
from workers.farm import consulted
from workers.ledger import Ledger
from workers.ledger.fallbacks import declared
from workers.outlook import known
from workers.readiness import Known, readiness
from workers.suppose import given_up


@asks
def drop(
    episode: Episode,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the delivery calls the fallback.")],
    *,
    asked: Asked,
) -> None:
    """Have the release wait no longer for what a declared fallback names. That follows by itself, as SHOULD."""
    with consulted(asked.settings) as ledger:
        facts = known(ledger, episode)
        fallback = declared(facts.overview.plan, name)
        if facts.release is None:
            raise ReleaseError(f"Nothing of `{episode}` is armed.", hint="Submit the episode, which arms it.")
        if facts.ref.version in {edition.version for edition in facts.overview.plan.editions}:
            raise ReleaseError(
                f"Viewers have what the release of `{episode}` waited for: nothing needs to be given up.",
                hint=f"The rest follows by itself; see `avant release show {episode}`.",
            )
        already = name in facts.overview.plan.given_up
        then = facts if already else given_up(facts, fallback)
        shown = _screen(ledger, then, () if already else (f"`{name}` is given up",))
        if not asked.as_json and not already:
            print_screen(shown)
        if not asked.dry_run and not already:
            asked.confirm(f"Give up {', '.join(fallback.drop)} of {episode} for now?")
            ledger.give_up(episode, name, by=asked.by)
    if asked.as_json:
        console.print_json({**told(shown), "action": "drop", "dry_run": asked.dry_run, "already": already})
    elif already:
        say(f"`{name}` was given up already.")
    elif not asked.dry_run:
        say(f"{episode} waits no longer for {', '.join(fallback.drop)}, which follows by itself.")


def _screen(ledger: Ledger, facts: Known, supposing: tuple[str, ...]) -> Screen:
    episode = facts.overview.plan.episode
    found = readiness(facts, episode)
    safe = found.least.released or found.least.outlook.safe
    return Screen(
        known=facts,
        found=found,
        remedies=() if safe else remedies(facts, found.least.outlook, episode),
        supposing=supposing,
        acts=ledger.acts(episode),
        zone=zone_of(facts),
    )
