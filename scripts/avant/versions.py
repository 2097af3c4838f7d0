"""`avant versions EPISODE`: the versions that exist, and which one viewers get."""

from typing import Annotated, Any

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, print_table
from workers.farm import consulted
from workers.settings import Settings


def versions(episode: Annotated[str, typer.Argument(help="The episode.")], as_json: AsJson = False) -> None:
    """List an episode's versions, newest first."""
    with consulted(Settings()) as ledger:
        found = ledger.versions(episode)
        if not found:
            ledger.check_known(episode)
    rows: list[dict[str, Any]] = [
        {
            "version": view.artifact.key.split("/")[1],
            "made_at": clock_time(view.made_at),
            "tracks": len(view.artifact.facts["tracks"]),
            "released": view.released,
        }
        for view in found
    ]
    if as_json:
        console.print_json({"episode": episode, "versions": rows})
        return
    print_table(
        ("version", "made", "tracks>", "viewers get it"),
        ((r["version"], r["made_at"], str(r["tracks"]), "yes" if r["released"] else "no") for r in rows),
    )
