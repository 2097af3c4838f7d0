"""Collections that die at every moment, or are interrupted there by those who need what they collect."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from pipelines.errors import ConfigurationError, ReleaseError, StoreError
from pipelines.layout import Names
from pipelines.tools.s3 import Store
from tests.fakes import spine, warming
from tests.fakes.episode import Episode
from tests.fakes.garbage import AT_ONCE, DiedError, Fate, MemoryStore, World, delivery, ledger_at
from workers.garbage import Count, Terms, collect, empty, look
from workers.ledger import Grave, Ledger, open_ledger
from workers.ledger.schema import artifacts
from workers.night import check_names


def begun(ledger: Ledger, store: MemoryStore, folder: Path) -> World:
    """Deliveries 0, 1 and 2 were made; viewers had 1, and have 2. Nothing was collected yet."""
    ledger.enrol("h", memory=1 << 40, slots=["heavy"])
    world = World(ledger=ledger, store=store, folder=folder)
    for number in range(3):
        world.submit(number)
        world.work()
        if number:
            world.release(number)
    return world


@pytest.fixture
def world(ledger_address: str, tmp_path: Path) -> Iterator[World]:
    ledger = open_ledger(ledger_address)
    yield begun(ledger, MemoryStore({}, Fate()), tmp_path)
    ledger.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which deliveries 0 and 1, and all chunks, are doomed and due."""
    folder = tmp_path_factory.mktemp("template")
    ledger = ledger_at(f"sqlite:///{folder / 'ledger.db'}", Fate())
    world = begun(ledger, MemoryStore({}, Fate()), folder)
    collect(world.farm, AT_ONCE)
    ledger.close()
    return world


def kinds(world: World) -> dict[str, int]:
    """How many artifacts of each kind exist."""
    found: dict[str, int] = {}
    for one in world.ledger.survey(keep=1, lifetime=timedelta(0)):
        found[one.kind] = found.get(one.kind, 0) + 1
    return found


def test_what_nobody_needs_goes_after_its_wait(world: World) -> None:
    """Doomed at once, deleted a day later; what viewers have and its plan's tracks stay, chunks do not."""
    day = Terms(keep=1, session=timedelta(0))
    collect(world.farm, day)
    before = dict(world.store.objects)
    collect(world.farm, day)
    assert world.store.objects == before
    with world.ledger._write() as connection:
        doomed = update(artifacts).where(artifacts.c.doomed_at.is_not(None))
        connection.execute(doomed.values(doomed_at=artifacts.c.doomed_at - 86_401))
    report = collect(world.farm, day)
    assert {kind: count.number for kind, count in report.collected.items()} == {
        "version": 2, "verification": 2, "track": 2, "chunk": 2, "sound": 1
    }  # fmt: skip
    assert kinds(world) == {"version": 1, "verification": 1, "track": 3}
    assert len(world.store.objects) == 2 * 4
    world.whole()
    overview = world.ledger.overview("e")
    assert overview
    assert [view.state for view in overview.steps] == ["done"] * 8


def test_what_a_session_may_play_stays(world: World) -> None:
    """Viewers had the first delivery a moment ago: for a day all of it is kept; as are the last plans and versions."""
    for terms in (Terms(keep=1, wait=timedelta(0)), Terms(keep=2, wait=timedelta(0), session=timedelta(0))):
        collect(world.farm, terms)
        collect(world.farm, terms)
        assert world.ready(1)
        assert not world.ledger.artifacts([delivery(0).version])


def test_a_dry_run_tells_and_changes_nothing(world: World) -> None:
    """What is doomed, what would go, and how much that is."""
    collect(world.farm, AT_ONCE)
    before = dict(world.store.objects)
    told = look(world.farm, AT_ONCE)
    assert world.store.objects == before
    assert told.collected["track"].number == 2
    assert told.deleted.number == 0
    assert {kind: each.number for kind, each in collect(world.farm, AT_ONCE).collected.items()} == {
        kind: each.number for kind, each in told.collected.items()
    }


def test_what_was_collected_is_made_again_elsewhere(world: World) -> None:
    """Under the old name an edge may hold other bytes: the version, too, has a new name then."""
    before = {made.key for made in world.ledger.artifacts((*delivery(0).goals, delivery(0).version)).values()}
    collect(world.farm, AT_ONCE)
    collect(world.farm, AT_ONCE)
    world.submit(0)
    world.work()
    assert world.ready(0)
    again = {made.key for made in world.ledger.artifacts([delivery(0).version]).values()}
    assert before.isdisjoint(again)
    check_names(world.farm, [delivery(0).version])
    with pytest.raises(ConfigurationError, match="not the one"):
        check_names(replace(world.farm, names=Names(key=b"another")), [delivery(0).version])


def test_nothing_is_made_again_that_was_only_doomed(world: World) -> None:
    """A submission spares it, and the next collection leaves it."""
    collect(world.farm, AT_ONCE)
    assert world.ledger.submit(delivery(0), deadline=None).steps == ()
    collect(world.farm, AT_ONCE)
    assert world.ready(0)


def test_a_roll_back_spares_what_was_doomed_and_is_refused_what_is_gone(world: World) -> None:
    """Viewers never get a version whose tracks are being deleted."""
    collect(world.farm, AT_ONCE)
    world.roll_back(1)
    collect(world.farm, AT_ONCE)
    world.whole()
    with pytest.raises(ReleaseError, match="was collected"):
        world.roll_back(0)


def test_work_under_way_keeps_what_it_starts_from(world: World) -> None:
    """Chunks that a failed or waiting step needs, and what was made so far of a plan that is not finished."""
    world.submit(3)
    held = world.ledger.claim(["control"], worker="h/1", host="h", lease_seconds=30)
    assert held
    assert held.step.id == "text-words-3"
    collect(world.farm, AT_ONCE)
    collect(world.farm, AT_ONCE)
    world.ledger.hand_back(held.step.id, held.token)
    world.work()
    assert world.ready(3)


def test_what_attempts_left_that_did_not_win_goes(world: World) -> None:
    """And nothing of one that may still win, of a step that is running."""
    world.submit(3)
    held = world.ledger.claim(["control"], worker="h/1", host="h", lease_seconds=30)
    assert held
    running = f"attempts/{held.step.id}/{held.token}/a.mp4"
    left = [f"attempts/{held.step.id}/{held.token - 1}/a.mp4", "attempts/encode-gone/4/a.mp4", "warming/gone.json"]
    later = f"attempts/{held.step.id}/{held.token + 1}/a.mp4"
    for key in (running, later, *left):
        world.store.put(key, b"x")
    assert look(world.farm, AT_ONCE).leftovers.number == 3
    assert collect(world.farm, AT_ONCE).leftovers.number == 3
    assert {running, later} <= world.store.objects.keys()
    assert world.store.objects.keys().isdisjoint(left)


def test_what_a_dropped_step_had_begun_to_publish_goes(world: World) -> None:
    """And when it is wanted again, it goes elsewhere: nobody knows what of the old was deleted by then."""
    world.submit(3)
    held = world.ledger.claim(["control"], worker="h/1", host="h", lease_seconds=30)
    assert held
    prefix = world.farm.names.track(held.step.makes[0])
    world.store.put(prefix + "a", b"half")
    world.ledger.cancel("e")
    collect(world.farm, AT_ONCE)
    assert prefix + "a" not in world.store.objects
    assert look(world.farm, AT_ONCE).leftovers.number == 0
    world.submit(3)
    world.work()
    assert world.ready(3)


def test_a_restored_ledger_forgets_what_may_be_gone(template: World, tmp_path: Path) -> None:
    """A backup from before a collection: what that deleted is made again, elsewhere; viewers keep what they have."""
    world = template.copied(tmp_path, Fate())
    world.store.objects = {key: body for key, body in world.store.objects.items() if key in world.sessions_keys()}
    assert world.ledger.forget_doomed() == 9
    assert world.ledger.forget_doomed() == 0
    world.whole()
    comes_back(world)
    world.ledger.close()


def test_a_real_store_is_emptied_of_one_track_and_nothing_else(store: Store, names: Names, tmp_path: Path) -> None:
    """All below its prefix, then its inventory; a key that is no track's, version's or attempt's is refused."""
    (tmp_path / "scratch").mkdir()
    workspace = warming.published(store, names, tmp_path / "scratch")
    track, version = workspace.inputs.values()
    deleted = Count()
    empty(store, Grave(id=1, key=track.key), deleted)
    assert set(store.keys("")) == {
        names.inventory(version.digest), version.key + "main.m3u8", version.key + "main.mpd"
    }  # fmt: skip
    assert deleted.number == 12 + 1 + 1 + 1
    for key in ("", "t/", "v", "attempts/", "e/s01e01/"):
        with pytest.raises(StoreError, match="nothing of it was deleted"):
            empty(store, Grave(id=1, key=key), deleted)


def test_the_command_tells_what_it_did(episode: Episode) -> None:
    """Of an episode that was just released: its chunks are doomed, and nothing of it goes today."""
    told = episode.avant("gc", "--dry-run", "--json").told
    assert (told["dry_run"], told["collected"], told["deleted"]["number"]) == (True, {}, 0)
    assert told["doomed"]["chunk"]["number"] >= 4
    done = episode.avant("gc", "--json").told
    assert done["doomed"] == told["doomed"]
    assert episode.keys <= set(episode.store.keys(""))
    shown = episode.avant("gc", "--dry-run")
    assert shown.status == 0
    assert "Nothing was changed" in shown.err
    spine.verify(episode.avant.settings)


def die() -> None:
    raise DiedError


def comes_back(world: World) -> None:
    """The delivery that is being collected is submitted again, and made."""
    world.submit(1)
    world.work()
    assert world.ready(1)


def is_corrected(world: World) -> None:
    """Another delivery comes, and viewers get it."""
    world.submit(7)
    world.work()
    world.release(7)
    assert world.ready(7)


def is_rolled_back(world: World) -> None:
    """Viewers get back what is being collected, unless it is too late for that."""
    with suppress(ReleaseError):
        world.roll_back(1)


NEEDS: tuple[Callable[[World], None], ...] = (comes_back, is_corrected, is_rolled_back)


def moments(template: World, folder: Path) -> list[bool]:
    """Those of a collection that nothing happens to: whether a transaction is open then."""
    folder.mkdir()
    fate = Fate()
    world = template.copied(folder, fate)
    collect(world.farm, AT_ONCE)
    world.ledger.close()
    return fate.passed


def finished(world: World) -> None:
    """Runs from here on end, and leave what is needed and nothing else."""
    world.whole()
    for _ in range(2):
        collect(world.farm, AT_ONCE)
        world.whole()
    stored = world.objects_of(
        one.digest for one in world.ledger.survey(keep=1, lifetime=timedelta(0)) if one.kind != "verification"
    )
    assert world.store.objects.keys() == stored


def test_a_collection_may_die_at_any_moment(template: World, tmp_path: Path) -> None:
    """
    Before and after every transaction and every deletion: nothing that a ref, a plan or a session needs is ever gone,
    whoever comes then; and the next runs finish.
    """
    for moment in range(len(moments(template, tmp_path / "whole"))):
        folder = tmp_path / str(moment)
        folder.mkdir()
        fate = Fate(at=moment, happens=die)
        world = template.copied(folder, fate)
        with pytest.raises(DiedError):
            collect(world.farm, AT_ONCE)
        world.whole()
        NEEDS[moment % len(NEEDS)](world)
        finished(world)
        world.ledger.close()


def test_a_collection_may_be_met_at_any_moment(template: World, tmp_path: Path) -> None:
    """The same, while it goes on: between any two of its transactions and deletions somebody needs what it collects."""
    between = [number for number, within in enumerate(moments(template, tmp_path / "whole")) if not within]
    for moment in between:
        folder = tmp_path / str(moment)
        folder.mkdir()
        fate = Fate(at=moment)
        world = template.copied(folder, fate)
        other = replace(world, ledger=open_ledger(world.address))
        fate.happens = partial(NEEDS[moment % len(NEEDS)], other)
        collect(world.farm, AT_ONCE)
        finished(replace(other, ledger=world.ledger))
        world.ledger.close()
        other.ledger.close()
