"""`avant run episode.toml`: everything, in the foreground, on this machine."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipelines.instant import Instant, unusual
from pipelines.release import Ref
from scripts.avant import console
from scripts.avant.console import AsJson, say
from scripts.avant.progress import Progress, countdown
from scripts.avant.summary import Outcome, print_summary, summary
from workers import production
from workers.crew import Crew
from workers.farm import Farm, open_farm
from workers.ledger import Release
from workers.settings import Settings
from workers.submission import Order, arm, read_edges, read_order

INTERRUPTED = 130  # as shells count a Ctrl-C

Document = Annotated[Path, typer.Argument(metavar="EPISODE.TOML", help="The delivery.")]
EdgeList = Annotated[
    Path | None, typer.Option("--edges", help="edges.toml: what must be warm before the release.", show_default=False)
]


def run(
    document: Document,
    edges: EdgeList = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Arm a future release and end.")] = False,
    slots: Annotated[int | None, typer.Option(min=1, max=256, help="Encodes at a time; default: processors.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an episode, publish it, warm the edges, and release it at its time. Run it again to go on after a stop."""
    settings = Settings()
    order = read_order(document, settings, read_edges(edges) if edges else None)
    point_out(order.release)
    try:
        with open_farm(settings) as farm:
            outcome = produce(order, farm, slots=slots, wait=not no_wait, quiet=as_json)
    except KeyboardInterrupt as stop:
        console.print_error("Stopped.", "Run the same command again to go on from here.")
        raise typer.Exit(INTERRUPTED) from stop
    if as_json:
        console.print_json(summary(outcome))
    else:
        print_summary(outcome)


def point_out(release: Instant | None) -> None:
    """Say what is unusual about a time: it may be what was meant."""
    for odd in unusual(release, datetime.now(UTC)) if release else ():
        say(f"warning: {odd}")


def produce(order: Order, farm: Farm, *, slots: int | None, wait: bool, quiet: bool) -> Outcome:
    """Take an episode from its order to viewers, saying how far it is."""
    with production.crewed(farm, slots) as crew:
        return _produced(order, farm, crew, wait=wait, quiet=quiet)


def _produced(order: Order, farm: Farm, crew: Crew, *, wait: bool, quiet: bool) -> Outcome:
    began = time.monotonic()
    farm.check()
    farm.check_others()  # before hours of work that could not be published
    plan = production.plan_of(order, farm)
    production.check_room(plan, farm, sum("package" in slot.slots.lanes for slot in crew.slots))
    examined = time.monotonic()
    submitted = production.submit(order, plan, farm)
    if not quiet:
        say(f"{plan.episode}: {len(submitted.steps)} of {len(plan.steps)} steps to do")
    armed = arm(order, plan, farm.ledger)
    if submitted.steps:
        with Progress(order.release, quiet=quiet) as progress:
            production.work(plan, farm, crew, progress.tick)
    else:
        production.tidy(farm)
    worked = time.monotonic()
    ref = _released(order, farm, armed, wait=wait, quiet=quiet)
    overview = farm.ledger.overview(plan.episode)
    made = farm.ledger.artifacts([plan.version])
    return Outcome(
        plan=plan,
        submitted=submitted,
        ref=ref,
        release=order.release,
        artifacts=farm.ledger.artifacts(track.digest for track in plan.tracks),
        names=farm.names.knowing({digest: version.key for digest, version in made.items()}),
        edges=order.edges,
        stages={
            "examine": examined - began,
            "work": worked - examined,
            "release": time.monotonic() - worked,
            "total": time.monotonic() - began,
        },
        steps=production.seconds_taken(overview, farm.ledger.now()) if overview else {},
    )


def _released(order: Order, farm: Farm, release: Release, *, wait: bool, quiet: bool) -> Ref:
    early = release.at > farm.ledger.now()
    if early and not wait:
        return farm.ledger.ref(release.episode)
    with countdown(order.release, quiet=quiet) as shown:
        return production.release(release, farm, shown.tick)
