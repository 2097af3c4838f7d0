"""`avant release log EPISODE`: who did what to its release, when and why."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from pipelines.wire import to_data
from scripts.avant import console
from scripts.avant.console import AsJson, print_table
from scripts.avant.retry import Episode
from workers.farm import consulted
from workers.ledger import Act
from workers.settings import Settings


def log(
    episode: Episode,
    last: Annotated[int, typer.Option(min=1, max=10_000, help="No more than the last so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was done to an episode's release: by clocks and by people, the last first."""
    with consulted(Settings()) as ledger:
        ledger.check_known(episode)
        acts = ledger.acts(episode, limit=last)
        made = ledger.artifacts({str(state.get("version")) for act in acts for state in (act.before, act.after)})
    names = {digest: version.key.split("/")[1] for digest, version in made.items()}
    if as_json:
        console.print_json({"episode": episode, "acts": [to_data(act) for act in acts]})
        return
    print_table(
        ("at, UTC", "who", "did", "gen>", "changed", "why"),
        (
            (
                f"{act.at:%Y-%m-%d %H:%M:%S}",
                act.by.who,
                act.by.action,
                "" if act.generation is None else str(act.generation),
                "\n".join(changed(act, names)),
                act.by.why,
            )
            for act in acts
        ),
    )


def changed(act: Act, names: Mapping[str, str]) -> Iterator[str]:
    """What is otherwise after an act than before, in words; `names` are what versions are called, by digest."""
    before, after = _flat(act.before), _flat(act.after)
    for what, value in after.items():
        if before.get(what) != value:
            was = f"{_worded(before[what], names)} to " if before.get(what) not in (None, "", []) else ""
            yield f"{what}: {was}{_worded(value, names)}"


def _flat(state: Mapping[str, Any]) -> dict[str, Any]:
    trim = {what.replace("_", " "): value for what, value in (state.get("trim") or {}).items()}
    return {**{what: value for what, value in state.items() if what != "trim"}, **trim}


def _worded(value: object, names: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(str(each) for each in value) or "none"
    return names.get(str(value), str(value)) if value not in (None, "") else "none"
