"""A master that comes too late: what the release waits for is in time, the rest follows, and nobody is surprised."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines import layout
from pipelines.instant import Instant
from pipelines.release import generation_of
from pipelines.tools import process
from pipelines.tools.s3 import Store
from scripts.avant.__main__ import app
from scripts.synthesise import synthesise
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.farm import broker, until
from tests.fakes.hosts import Host
from tests.fakes.readers import named
from tests.fakes.spine import PRESET, Avant
from workers.ledger import Ledger, open_ledger
from workers.settings import Settings
from workers.submission import open_desk, read_order

#: Heights of the rungs above the lowest: by the estimates 70 s of one slot, after 6 s of what the release waits for.
HIGHER = (432, 540, 648, 720)
#: Seconds from submission to T, at least and at most; more, the longer this machine took to examine the delivery.
NOTICE = (15.0, 45.0)


@pytest.fixture
def avant(store: Store, store_service: StoreService, tmp_path: Path) -> Iterator[Avant]:
    """The command line of a farm: a store, a broker and a ledger that are nobody's own."""
    document = synthesise(tmp_path / "delivery", spine.SECONDS, (1280, 720))
    folder = tmp_path / "presets"
    folder.mkdir()
    rung = PRESET.split("[[video.rungs]]")[2].split("[audio]")[0]
    rungs = "".join(f"[[video.rungs]]{rung.replace('180', str(height), 1)}" for height in HIGHER)
    slow = PRESET.replace(f"[[video.rungs]]{rung}", rungs).replace("ultrafast", "slower")
    (folder / "tiny.toml").write_text(slow)
    told = document.read_text().replace('preset = "quick"', 'preset = "tiny"')
    follows = ", ".join(f'"video {height}p"' for height in HIGHER)
    document.write_text(f'{told}\n[release]\nat = "2100-01-01T00:00"\nshould = [{follows}]\n')
    with broker(tmp_path / "broker") as address:
        yield Avant(
            settings=spine.settings(tmp_path / "home", document, store_service, store.bucket).model_copy(
                update={"ledger_url": f"sqlite:///{tmp_path / 'ledger.db'}", "broker_url": address, "presets": folder}
            )
        )


@pytest.fixture
def clock(avant: Avant, tmp_path: Path) -> Iterator[process.Child]:
    """`avant clock`, in a home of its own."""
    elsewhere = Avant(settings=avant.settings.model_copy(update={"home": tmp_path / "clock"}))
    (tmp_path / "clock").mkdir()
    child = elsewhere.start("clock", log=tmp_path / "clock" / "log")
    yield child
    process.stop(child, 10.0)


@pytest.fixture
def host(avant: Avant, tmp_path: Path) -> Iterator[Host]:
    """One host with one heavy slot and a light one, not started yet."""
    own = avant.settings.model_copy(update={"home": tmp_path / "host", "host": "h"})
    one = Host(settings=own, module="tests.fakes.late_slot", slots=["heavy", "light"])
    yield one
    one.kill()
    one.gone()


@pytest.fixture
def ledger(avant: Avant) -> Iterator[Ledger]:
    found = open_ledger(avant.settings.ledger_address)
    yield found
    found.close()


def shown(store: Store) -> tuple[int, set[str]]:
    """What a viewer is told at the entry point: its generation, and the playlists that it names."""
    key = layout.entry_points(spine.EPISODE) + layout.MULTIVARIANT_PLAYLIST
    found = store.get(key)
    assert found
    return generation_of(found[0]), named(key, found[0])


def show(settings: Settings) -> Any:
    """What `avant release show` says, without another process to wait for."""
    ended = CliRunner().invoke(app, ["release", "show", spine.EPISODE, "--json"], env=settings.environment())
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def submitted(avant: Avant, document: Path, ledger: Ledger) -> datetime:
    """Submit the delivery when there is too little time left; until when."""
    with open_desk(avant.settings) as desk:
        began = time.monotonic()
        order = read_order(document, avant.settings)
        plan = desk.plan(order)
        notice = min(NOTICE[1], max(NOTICE[0], 4 * (time.monotonic() - began)))
        at = (ledger.now() + timedelta(seconds=notice)).replace(microsecond=0)
        wall = f"{at:%Y-%m-%d %H:%M:%S} UTC"
        desk.submit(replace(order, release=Instant(utc=at, wall=wall)), plan)
    return at


def test_a_late_master_is_released_in_time_and_completed_after(
    *, avant: Avant, clock: process.Child, host: Host, ledger: Ledger, store: Store, tmp_path: Path
) -> None:
    """
    The higher rungs can't make it, and the report says so before any work: the release is in time without them, and
    goes on to a second generation with them. What the first named stays as it is.
    """
    host.start()
    until(lambda: ledger.look().slots == {"heavy": 1, "light": 1}, meanwhile=host.check)
    at = submitted(avant, tmp_path / "delivery" / "episode.toml", ledger)
    foreseen = show(avant.settings)
    least, whole = foreseen["editions"]
    assert foreseen["in_time"]
    assert least["p95"] < at.isoformat() < whole["p50"]
    assert "; the rest follows, at " in foreseen["answer"]
    until(lambda: ledger.ref(spine.EPISODE).state == "released", meanwhile=host.check, patience=NOTICE[1] + 60)
    first = ledger.ref(spine.EPISODE)
    assert first.flipped_at
    assert timedelta() <= first.flipped_at - at < timedelta(seconds=1)
    assert first.version == least["version"]
    until(lambda: shown(store)[0] == 1)
    before = shown(store)[1]
    bodies = {key: store.get(key) for key in before}
    assert show(avant.settings)["answer"].startswith("YES, released since ")
    (host.home / "go").touch()
    until(lambda: shown(store)[0] == 2, meanwhile=host.check, patience=120)
    assert ledger.ref(spine.EPISODE).version == whole["version"]
    assert ledger.armed() == ()
    assert before < shown(store)[1]
    assert {key: store.get(key) for key in before} == bodies
    assert [(act.by.action, act.generation) for act in ledger.acts(spine.EPISODE)] == [("flip", 2), ("flip", 1)]
    assert show(avant.settings)["answer"].endswith("viewers have all of it.")
    assert clock.poll() is None
