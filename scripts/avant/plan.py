"""`avant plan episode.toml`: what would run, what exists already, how long and how large it will be."""

from pipelines.plan import Plan, missing
from pipelines.step import Step
from pipelines.wire import to_data
from scripts.avant import console
from scripts.avant.console import AsJson, data, duration, print_table, size
from scripts.avant.run import Document, EdgeList
from workers import host, production
from workers.eta import Load, seconds_left
from workers.farm import open_farm
from workers.lanes import mix
from workers.settings import Settings
from workers.submission import read_edges, read_order


def plan(document: Document, edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Say what a run would do, and do nothing."""
    settings = Settings()
    order = read_order(document, settings, read_edges(edges) if edges else None)
    with open_farm(settings) as farm:
        planned = production.plan_of(order, farm)
        every = [made for step in planned.steps for made in step.makes]
        todo = missing(planned, set(farm.ledger.artifacts(every)))
    wall = seconds_left([Load(step=step) for step in todo], [slot.lanes for slot in mix(host.processors())])
    if as_json:
        console.print_json({"plan": to_data(planned), "missing": [step.id for step in todo], "seconds": round(wall, 1)})
    else:
        _print(planned, todo, wall)


def _print(planned: Plan, todo: tuple[Step, ...], wall: float) -> None:
    runs = {step.id: step for step in todo}
    print_table(
        ("step", "lane", "needed", "core s>", "memory>"),
        (
            (
                step.label,
                step.lane,
                "yes" if any(set(step.makes) & set(run.makes) for run in todo) else "exists",
                f"{runs.get(step.id, step).cost:.1f}",
                size(step.memory),
            )
            for step in planned.steps
        ),
        title=f"{planned.episode}: {planned.title}, {duration(float(planned.seconds))}, preset {planned.preset}",
    )
    expected = sum(track.size for track in planned.tracks)
    data.print(
        f"\n{len(todo)} of {len(planned.steps)} steps to do, about {duration(wall)} here; "
        f"{len(planned.tracks)} tracks, about {size(expected)}",
        markup=False,
    )
