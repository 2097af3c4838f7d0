"""`avant worker`: this host's slots, at work for a farm until they are told to stop."""

from typing import Annotated

import typer

from pipelines.step import Lane
from presets.document import nearest
from workers import host, serve
from workers.lanes import LANES, mix
from workers.settings import Settings


def _lanes(text: str) -> tuple[Lane, ...]:
    named = [word.strip() for word in text.split(",")]
    for name in named:
        if name not in LANES:
            meant = nearest(name, list(LANES))
            raise typer.BadParameter(f"there is no lane `{name}`" + (f"; did you mean `{meant}`?" if meant else ""))
    return tuple(lane for lane in LANES if lane in named)


def worker(
    slots: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Heavy steps at a time; default: processors.")
    ] = None,
    lanes: Annotated[
        str, typer.Option(metavar="LANE,…", help="Work that this host does; default: all.", show_default=False)
    ] = ",".join(LANES),
    grace: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds that running steps have to finish in after SIGTERM.")
    ] = serve.GRACE,
) -> None:
    """Do a farm's work on this host until SIGTERM, which lets running steps finish; a second one hands them back."""
    served = _lanes(lanes)
    settings = Settings()
    serve.serve(settings, mix(slots or settings.slots or host.processors(), served), grace=grace)
