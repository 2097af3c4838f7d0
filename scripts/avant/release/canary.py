"""`avant release canary EPISODE`: would viewers hear and see it, in every language, through every edge?"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import ConfigurationError, EdgeError
from pipelines.warm import Edge
from pipelines.wire import to_data
from scripts.avant import console
from scripts.avant.console import AsJson, print_table
from scripts.avant.run import EdgeList
from workers.canary import played, viewed
from workers.farm import open_farm
from workers.settings import Settings
from workers.submission import read_edges


def canary(
    episode: Annotated[str, typer.Argument(help="The episode.")], edges: EdgeList = None, as_json: AsJson = False
) -> None:
    """Play what viewers get, every language through every edge. Ends with 69 if one would not play."""
    settings = Settings()
    listed = _listed(edges or settings.edges)
    with open_farm(settings) as farm:
        farm.wait()
        ref = farm.ledger.ref(episode)
        if ref.state == "not-yet":
            farm.ledger.check_known(episode)
        found = tuple(played(farm, ref, listed))
    failed = [one for one in found if one.fault]
    if as_json:
        console.print_json(
            {"episode": episode, "generation": ref.generation, "played": [to_data(one) for one in found]}
        )
    else:
        print_table(
            ("edge", "protocol", "language", "seconds>", "played"),
            (
                (one.edge, one.protocol, one.language, f"{one.seconds:.1f}", f"no: {one.fault}" if one.fault else "yes")
                for one in found
            ),
            title=f"{episode}: generation {ref.generation}",
        )
    if failed:
        raise EdgeError(
            f"{len(failed)} of {len(found)} don't play; the first is `{failed[0].language}` through "
            f"{failed[0].edge} ({failed[0].protocol}): {failed[0].fault}.",
            hint="`avant warm prove` says whether the edge has it; withdraw or roll back what viewers can't have.",
        )


def _listed(path: Path | None) -> tuple[Edge, ...]:
    edges = read_edges(path)
    if not viewed(edges):
        raise ConfigurationError(
            "There is no edge to play through.", hint="Name a list of edges with `--edges edges.toml`, or AVANT_EDGES."
        )
    return edges
