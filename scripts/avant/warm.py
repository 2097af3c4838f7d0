"""`avant warm plan EPISODE`: what each edge will be asked for. `avant warm prove EPISODE`: are they still warm?"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from pipelines.errors import ConfigurationError, EdgeError
from pipelines.warm import WarmJob, prove
from pipelines.warm.budget import Fitted
from pipelines.warm.evidence import Checked, same_cache
from pipelines.warm.job import budget, ranking
from pipelines.warm.tiers import by_tier
from pipelines.wire import to_data
from pipelines.workspace import Workspace
from scripts.avant import console
from scripts.avant.console import AsJson, duration, print_table, say, size
from scripts.avant.run import EdgeList
from workers.farm import Farm, open_farm
from workers.ledger import Ledger, Overview
from workers.settings import Settings
from workers.submission import read_edges

warm = typer.Typer(name="warm", help="What edges are asked for before viewers ask, and whether they kept it.")

#: Keeps a finding: version, subject, what is wrong.
Keep = Callable[[str, str, str], bool]
Episode = Annotated[str, typer.Argument(help="The episode.")]


@warm.command()
def plan(episode: Episode, edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Say what each edge would be asked for, how long that takes, and what does not fit. Asks no edge anything."""
    with _jobs(episode, edges) as (jobs, workspace, _):
        now = datetime.now(UTC)
        fitted = [budget(job, ranking(job, workspace), now) for job in jobs]
    if as_json:
        console.print_json({"episode": episode, "edges": [_row(each) for each in fitted]})
    else:
        _print(episode, fitted)


@warm.command("prove")
def prove_again(episode: Episode, edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Ask the edges once more; only what was lost is warmed again. Ends with 69 if an edge is not warm."""
    with _jobs(episode, edges) as (jobs, workspace, ledger):
        keep = ledger.found if edges is None else _nowhere  # what other edges keep says nothing about the plan's
        found = list(_proofs(jobs, workspace, keep, quiet=as_json))
    if as_json:
        told = [to_data(each) for each in found]
        console.print_json({"episode": episode, "ok": all(each.ok for each in found), "edges": told})
    else:
        print_table(
            ("edge", "warm", "objects>", "asked>", "hits>", "lost>", "fresh h>", "one copy"), map(_found, found)
        )
    _refuse(found)


def _found(each: Checked) -> tuple[str, ...]:
    proof = each.evidence
    counts = (str(count) for count in (each.objects, each.asked, each.hits, each.lost))
    if not proof:
        return (each.edge, "NO", *counts, "", "")
    fresh = "" if proof.freshness is None else f"{proof.freshness / 3600:.0f}"
    return (each.edge, "yes", *counts, fresh, {True: "yes", False: "no", None: "not told"}[proof.same_copy])


def _proofs(jobs: list[WarmJob], workspace: Workspace, keep: Keep, *, quiet: bool) -> Iterator[Checked]:
    """Each edge's; what is found is kept, well or not, where the release's gate reads it."""
    for job in jobs:
        if not quiet:
            say(f"{job.edge.name}: asking")
        found = prove(job, workspace)
        keep(job.version, f"edge {job.edge.name}", "" if found.ok else found.said)
        yield found


def _nowhere(_version: str, _subject: str, _said: str) -> bool:
    return False


def _refuse(found: Sequence[Checked]) -> None:
    """Raise `EdgeError` if an edge is not warm, or one cache answered for two: the other was not asked at all."""
    cold = [each for each in found if not each.ok]
    if cold:
        more = f" {len(cold)} of {len(found)} edges are not warm." if len(cold) > 1 else ""
        raise EdgeError(f"{cold[0].said}{more}")
    for one, other in combinations([each.evidence for each in found if each.evidence], 2):
        if same_cache(one, other):
            raise EdgeError(
                f"Edges {one.edge} and {other.edge} are one cache ({', '.join(one.pops)}): only one of them is proved.",
                hint="Give each the `address` of its own PoP in edges.toml.",
            )


@contextmanager
def _jobs(episode: str, edges: Path | None) -> Iterator[tuple[list[WarmJob], Workspace, Ledger]]:
    """The warming of the episode's version at each edge, and what it needs."""
    settings = Settings()
    with open_farm(settings) as farm, TemporaryDirectory() as folder:
        farm.wait()
        overview = farm.ledger.overview(episode)
        if overview is None:
            raise farm.ledger.unknown(episode)
        jobs = _planned(overview, edges)
        (Path(folder) / "scratch").mkdir()
        yield jobs, _workspace(farm, overview, Path(folder) / "scratch"), farm.ledger


def _planned(overview: Overview, edges: Path | None) -> list[WarmJob]:
    """The plan's own steps; or, with another list of edges, what they would be."""
    found = overview.plan
    planned = [step.job for step in found.steps if isinstance(step.job, WarmJob)]
    if edges:
        tracks = tuple(track.digest for track in found.tracks)
        planned = [
            WarmJob(digest=found.version, version=found.version, tracks=tracks, edge=edge, release=overview.deadline)
            for edge in read_edges(edges)
        ]
    if not planned:
        raise ConfigurationError(
            f"No edge is to be warmed for `{found.episode}`.", hint="Name a list of edges with `--edges edges.toml`."
        )
    return planned


def _workspace(farm: Farm, overview: Overview, scratch: Path) -> Workspace:
    wanted = [overview.plan.version, *(track.digest for track in overview.plan.tracks)]
    made = farm.ledger.artifacts(wanted)
    proved = farm.ledger.artifacts(overview.plan.goals)
    if len(made) < len(set(wanted)):
        raise EdgeError(
            f"`{overview.plan.episode}` is not whole yet: {len(made)} of {len(set(wanted))} parts are published.",
            hint="Wait until `avant status` says so; sizes are known only then.",
        )
    return Workspace(
        scratch=scratch,
        store=farm.store,
        names=farm.names.knowing({digest: one.key for digest, one in made.items()}),
        attempt="",
        inputs=proved | made,
        watch=lambda _share: None,
    )


def _row(fitted: Fitted) -> dict[str, Any]:
    edge = fitted.edge
    return {
        "edge": edge.name,
        "role": edge.role,
        "shield": edge.shield,
        "objects": len(fitted.taken),
        "bytes": sum(one.item.size for one in fitted.taken),
        "asked_bytes": fitted.bytes,
        "asked_requests": fitted.requests,
        "minutes": None if fitted.seconds is None else round(fitted.seconds / 60, 2),
        "left": {"objects": len(fitted.left), "bytes": sum(one.item.size for one in fitted.left), "why": fitted.limit},
        "tiers": [
            {"tier": tier, "objects": len(each), "bytes": sum(one.item.size for one in each)}
            for tier, each in by_tier(fitted.taken).items()
        ],
    }


def _print(episode: str, fitted: list[Fitted]) -> None:
    rows = [_row(each) for each in fitted]
    print_table(
        ("edge", "role", "objects>", "size>", "with proof>", "takes>", "cold>", "why"),
        (
            (
                row["edge"],
                row["role"],
                str(row["objects"]),
                size(row["bytes"]),
                size(row["asked_bytes"]),
                "no limit" if row["minutes"] is None else duration(60 * row["minutes"]),
                str(row["left"]["objects"] or ""),
                row["left"]["why"].replace("_", " "),
            )
            for row in rows
        ),
        title=f"{episode}: warming",
    )
    console.data.print()
    print_table(
        ("edge", *(f"T{tier}>" for tier in range(6))),
        ((row["edge"], *_tiers(row)) for row in rows),
    )


def _tiers(row: dict[str, Any]) -> Iterator[str]:
    found = {each["tier"]: each for each in row["tiers"]}
    for tier in range(6):
        yield f"{found[tier]['objects']}, {size(found[tier]['bytes'])}" if tier in found else ""
