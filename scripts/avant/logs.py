"""`avant logs STEP|EPISODE`: what this host's slots wrote about it, and which other hosts wrote something."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import ConfigurationError
from scripts.avant import console
from scripts.avant.console import AsJson, data, say
from workers.farm import consulted
from workers.settings import Settings

#: Told before all else, or by the line's place.
LEADING = ("timestamp", "level", "event")


def logs(
    what: Annotated[str, typer.Argument(metavar="STEP|EPISODE", help="A step's id, or an episode.")],
    as_json: AsJson = False,
) -> None:
    """Print what the logs on this host say of a step's or an episode's attempts, in order of time."""
    settings = Settings()
    with consulted(settings) as ledger:
        hosts = ledger.whereabouts(what)
    if not hosts:
        raise ConfigurationError(
            f"There is no step or episode `{what}`.", hint="`avant status EPISODE --json` lists the ids of its steps."
        )
    lines = sorted(_lines(settings.home / "logs", hosts), key=lambda line: str(line.get("timestamp", "")))
    others = _elsewhere(hosts, settings.machine)
    if as_json:
        console.print_json({"lines": lines, "elsewhere": others})
        return
    for line in lines:
        data.print(_told(line), markup=False)
    for name, steps in others.items():
        say(f"{name} has the last attempts of {', '.join(steps)}: run `avant logs` there.")


def _lines(folder: Path, steps: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Lines about any of `steps`, file by file."""
    for path in sorted(folder.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                # Other lines are of services, or what a library wrote.
                if text.startswith("{") and (line := _read(text)).get("step") in steps:
                    yield line


def _read(text: str) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:  # cut off when the disk was full or the process was killed
        return {}
    return line if isinstance(line, dict) else {}


def _elsewhere(hosts: Mapping[str, frozenset[str]], here: str) -> dict[str, list[str]]:
    """The steps that other hosts had last, by host."""
    others = sorted({name for names in hosts.values() for name in names} - {here})
    return {name: sorted(step for step, names in hosts.items() if name in names) for name in others}


def _told(line: Mapping[str, Any]) -> str:
    rest = " ".join(f"{key}={value}" for key, value in line.items() if key not in LEADING)
    return " ".join([*(str(line.get(key, "")) for key in LEADING), rest])
