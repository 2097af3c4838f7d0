"""`avant doctor`: is everything here that a run needs, and does it do what we rely on?"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial

import typer

from pipelines.errors import AvantError, ConfigurationError, EdgeError, HostError
from pipelines.tools import ffmpeg, ffprobe, mediainfo, packager
from pipelines.tools.edge import EdgeClient
from pipelines.tools.s3 import Store
from pipelines.warm import Edge
from pipelines.warm.passes import passes
from scripts.avant import console
from scripts.avant.console import AsJson, print_table, size
from scripts.avant.run import EdgeList
from workers import broker, checkup, clock
from workers.checkup import Check
from workers.farm import embedded, explaining
from workers.ledger import health
from workers.settings import Settings
from workers.store import open_store
from workers.submission import read_edges

#: Less free space than this is a warning: an hour of an HD ladder with its intermediates.
ROOM = 20_000_000_000
#: What is written where, by whom.
PLACES = {"attempts/": "steps", "t/": "tracks", "v/": "versions", "inventories/": "inventories", "e/": "entry points"}

Answers = Iterable[Check]


def doctor(edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Check tools, disk, ledger, broker, store, clocks and edges. Ends with 78 if something is not as it must be."""
    checks = list(examined(Settings(), edges))
    failed = any(check.verdict == "fail" for check in checks)
    if as_json:
        console.print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        said = {"ok": "ok", "warn": "warning", "fail": "FAILS"}
        print_table(
            ("check", "", "found", "do"),
            ((check.what, said[check.verdict], check.found, check.hint) for check in checks),
        )
    if failed:
        raise typer.Exit(ConfigurationError.exit_code)


def examined(settings: Settings, edges: EdgeList = None) -> Iterator[Check]:
    """Every check there is, whatever the others say."""
    yield from _tools()
    yield from _asked("home folder", lambda: _home(settings))
    yield from _asked("settings", lambda: checkup.of_settings(settings))
    ahead: dict[str, timedelta] = {}  # of this host's clock
    yield from _asked("ledger", lambda: _ledger(settings, ahead))
    with _services(settings) as (whole, problems):
        yield from problems
        if whole.broker_url:
            yield from _asked("broker", lambda: _broker(whole.broker_url or ""))
        if whole.s3_endpoint:
            yield from _asked("object store", lambda: _store(whole, ahead))
    yield from _asked("clocks", lambda: _clocks(ahead))
    yield from _asked("edges", lambda: _edges(settings, edges))


def _asked(what: str, ask: Callable[[], Answers]) -> Answers:
    """The answers to a question; an error is one."""
    try:
        with explaining():
            return list(ask())
    except AvantError as error:
        return [Check(what=what, verdict="fail", found=error.message, hint=error.hint)]


def _tools() -> Iterator[Check]:
    tools: dict[str, Callable[[], str]] = {
        "ffmpeg": ffmpeg.version,
        "ffprobe": ffprobe.version,
        "packager": packager.version,
        "MediaInfo": mediainfo.version,
    }
    for name, version in tools.items():
        yield from _asked(name, partial(_version, name, version))


def _version(name: str, ask: Callable[[], str]) -> Answers:
    yield Check(what=name, verdict="ok", found=ask())


def _home(settings: Settings) -> Answers:
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as error:
        raise HostError(
            f"{settings.home} can't be written to: {error.strerror}.",
            hint="Set AVANT_HOME to a folder of this user's, or give it this one.",
        ) from error
    free = shutil.disk_usage(settings.home).free
    found = f"{size(free)} free in {settings.home}"
    if free < ROOM:
        hint = f"Make room: {size(ROOM)} hold an HD episode."
        yield Check(what="home folder", verdict="warn", found=found, hint=hint)
    else:
        yield Check(what="home folder", verdict="ok", found=found)


def _ledger(settings: Settings, ahead: dict[str, timedelta]) -> Answers:
    found = health.examine(settings.ledger_address)
    ahead["the ledger"] = found.now - datetime.now(UTC)
    return checkup.of_ledger(found)


@contextmanager
def _services(settings: Settings) -> Iterator[tuple[Settings, Answers]]:
    """The settings with what none names started; as they are, and why, if that can't be."""
    with ExitStack() as stack:
        if settings.s3_endpoint and settings.broker_url:
            yield settings, []
            return
        try:
            own = stack.enter_context(embedded(settings))
            for service in own.services:
                service.wait()
        except AvantError as error:
            yield settings, [Check(what="own services", verdict="fail", found=error.message, hint=error.hint)]
            return
        names = ", ".join(service.name.removeprefix("The ") for service in own.services)
        yield own.settings, [Check(what="own services", verdict="ok", found=f"{names}: started, and will be stopped")]


def _broker(address: str) -> Answers:
    opened = broker.open_broker(address)
    try:
        broker.check(opened)
        return list(checkup.of_broker(broker.examine(opened), address))
    finally:
        opened.client.close()


def _store(settings: Settings, ahead: dict[str, timedelta]) -> Answers:
    store = open_store(settings)
    try:
        store.check_conditional_writes()
        ahead["the store"] = store.now() - datetime.now(UTC)
        yield Check(
            what="object store",
            verdict="ok",
            found=f"{store.host}: conditional writes, checksums and headers are honoured",
        )
        yield _rights(store)
    finally:
        store.close()


def _rights(store: Store) -> Check:
    """What our credential may write: a clock's must reach entry points, a worker's should not."""
    may = [what for prefix, what in PLACES.items() if store.may_write(prefix)]
    if "entry points" in may:
        found = f"may write {', '.join(may)}: a clock's credential"
        return Check(what="store rights", verdict="ok", found=f"{found} (a worker does not need the last)")
    if len(may) == len(PLACES) - 1:
        return Check(what="store rights", verdict="ok", found="may write all but entry points: a worker's credential")
    lacking = ", ".join(what for what in PLACES.values() if what not in may)
    return Check(
        what="store rights",
        verdict="fail",
        found=f"may not write {lacking}.",
        hint="Grant write on the bucket; only entry points (e/) may be left to the clock.",
    )


def _clocks(ahead: dict[str, timedelta]) -> Answers:
    """Of those that answered, each at its own moment."""
    if not ahead:
        return
    here = datetime.now(UTC)
    apart = clock.apart({"this host": here, **{whose: here + by for whose, by in ahead.items()}})
    found = f"{here:%H:%M:%S} UTC; this host, {', '.join(ahead)} within {apart.total_seconds():.1f} s"
    yield Check(what="clocks", verdict="ok", found=found)


def _edges(settings: Settings, edges: EdgeList) -> Answers:
    for edge in read_edges(edges or settings.edges):
        yield from _asked(f"edge {edge.name}", partial(_edge, edge))


def _edge(edge: Edge) -> Answers:
    passes(edge)  # whether what it names can be read
    with EdgeClient(edge.name, edge.url, address=edge.address, ca=edge.ca) as client:
        answer = client.fetch("e/")
    if answer.status >= 500:
        raise EdgeError(f"{edge.url} answers {answer.status}.", hint="Look at the edge's error log.")
    yield Check(what=f"edge {edge.name}", verdict="ok", found=f"{edge.url} answers")
