"""`avant drain`, `undrain`, `pause`, `resume`: what a host or a lane may begin. What runs is never touched."""

from typing import Annotated

import typer

from pipelines.step import Lane
from scripts.avant import console
from scripts.avant.console import AsJson, counted, say
from workers.farm import consulted
from workers.settings import Settings

Host = Annotated[str, typer.Argument(metavar="HOST", help="As `avant status` calls it.")]
LaneName = Annotated[Lane, typer.Argument(metavar="LANE", help="encode, audio, package, warm or control.")]


def drain(host: Host, as_json: AsJson = False) -> None:
    """Have a host claim nothing more, also when its workers are started again. Its running steps finish."""
    _hold(host, drained=True, as_json=as_json)


def undrain(host: Host, as_json: AsJson = False) -> None:
    """Have a drained host claim again."""
    _hold(host, drained=False, as_json=as_json)


def pause(lane: LaneName, as_json: AsJson = False) -> None:
    """Have nobody claim from a lane, on any host. What runs of it finishes."""
    _open(lane, paused=True, as_json=as_json)


def resume(lane: LaneName, as_json: AsJson = False) -> None:
    """Have a paused lane worked on again."""
    _open(lane, paused=False, as_json=as_json)


def _hold(host: str, *, drained: bool, as_json: bool) -> None:
    with consulted(Settings()) as ledger:
        found = ledger.drain(host, drained=drained)
    if as_json:
        console.print_json({"host": found.host, "drained": found.drained, "running": found.running})
    elif drained:
        say(f"{host} claims nothing more; {counted(found.running, 'step')} running there.")
    else:
        say(f"{host} claims again.")


def _open(lane: Lane, *, paused: bool, as_json: bool) -> None:
    with consulted(Settings()) as ledger:
        ledger.pause_lane(lane, paused=paused)
        found = next(view for view in ledger.lanes() if view.lane == lane)
    if as_json:
        console.print_json({"lane": lane, "paused": found.paused, "ready": found.ready, "running": found.running})
    elif paused:
        say(f"Nobody claims from {lane} any more; {found.running} of its steps still run, {found.ready} wait.")
    else:
        say(f"{lane} is worked on again; {counted(found.ready, 'step')} ready.")
