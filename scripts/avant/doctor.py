"""`avant doctor`: is everything here that a run needs, and does it do what we rely on?"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

import typer

from pipelines.errors import AvantError, ConfigurationError, EdgeError, HostError
from pipelines.tools import ffmpeg, ffprobe, mediainfo, packager
from pipelines.tools.edge import EdgeClient
from pipelines.warm import Edge
from scripts.avant import console
from scripts.avant.console import AsJson, print_table, size
from scripts.avant.run import EdgeList
from workers import clock
from workers.farm import Farm, open_farm
from workers.settings import Settings
from workers.submission import read_edges

#: Less free space than this is a warning: an hour of an HD ladder with its intermediates.
ROOM = 20_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question and its answer."""

    what: str
    ok: bool
    found: str
    hint: str = ""


def doctor(edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Check tools, store, broker, clocks, disk and edges. Ends with 78 if something is not as it must be."""
    settings = Settings()
    listed = read_edges(edges or settings.edges)
    checks = list(_tools())
    with open_farm(settings) as farm:
        checks.append(_asked("services", lambda: _up(farm)))
        checks.append(_asked("object store", lambda: _store(farm)))
        checks.append(_asked("clocks", lambda: _clocks(farm)))
        checks.append(_asked("disk", lambda: _disk(settings)))
        checks += [_asked(f"edge {edge.name}", partial(_edge, edge)) for edge in listed]
    if as_json:
        console.print_json({"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]})
    else:
        print_table(
            ("check", "", "found", "do"),
            ((check.what, "ok" if check.ok else "FAILS", check.found, check.hint) for check in checks),
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(ConfigurationError.exit_code)


def _asked(what: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(what=what, ok=True, found=ask())
    except AvantError as error:
        return Check(what=what, ok=False, found=error.message, hint=error.hint)


def _tools() -> Iterator[Check]:
    yield _asked("ffmpeg", ffmpeg.version)
    yield _asked("ffprobe", ffprobe.version)
    yield _asked("packager", packager.version)
    yield _asked("MediaInfo", mediainfo.version)


def _up(farm: Farm) -> str:
    began = time.monotonic()
    farm.wait()
    names = ", ".join(service.name.removeprefix("The ") for service in farm.services) or "none embedded"
    return f"{names}: up in {time.monotonic() - began:.1f} s"


def _store(farm: Farm) -> str:
    farm.store.check_conditional_writes()
    return f"{farm.store.host}: conditional writes, checksums and headers are honoured"


def _clocks(farm: Farm) -> str:
    apart = clock.furthest_apart(farm)
    return f"{datetime.now(UTC):%H:%M:%S} UTC; host, ledger and store within {apart.total_seconds():.1f} s"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < ROOM:
        raise HostError(f"{size(free)} free in {settings.home}.", hint=f"Make room: {size(ROOM)} hold an HD episode.")
    return f"{size(free)} free in {settings.home}"


def _edge(edge: Edge) -> str:
    url = edge.url
    with EdgeClient(edge.name, url, address=edge.address, ca=edge.ca) as client:
        answer = client.fetch("e/")
    if answer.status >= 500:
        raise EdgeError(f"{url} answers {answer.status}.", hint="Look at the edge's error log.")
    return f"{url} answers"
