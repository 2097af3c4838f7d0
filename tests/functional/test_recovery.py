"""A ledger restored from a backup: nothing that it has forgotten, and nobody whom it has, can do harm."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.errors import Interrupted, ReleaseError
from pipelines.layout import Names
from pipelines.plan import Plan
from pipelines.release import Ref, entry_points, mirror
from pipelines.tools import process
from pipelines.tools.s3 import Store
from pipelines.trim import WHOLE, Trim
from pipelines.wire import to_data
from tests.fakes.farm import claim, claimed, made, plan, step
from tests.fakes.postgres import SERVER
from tests.fakes.releases import TRACKS, policy
from workers.ledger import By, Ledger, Release, open_ledger
from workers.recover import recover


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1 << 30, slots=["heavy"])
    yield one
    one.close()


def backup(ledger: Ledger, address: str, folder: Path) -> Callable[[], None]:
    """Back the ledger up as its page says; what restores it."""
    if address.startswith("sqlite"):
        file = Path(address.removeprefix("sqlite:///"))
        ledger.close()
        shutil.copy(file, folder / "backup")
        return lambda: _put_back(ledger, folder / "backup", file)
    dump, restore = (str(Path(SERVER or "").with_name(name)) for name in ("pg_dump", "pg_restore"))
    process.run([dump, "--format=custom", f"--file={folder / 'backup'}", address])
    return lambda: _restored(ledger, [restore, "--clean", f"--dbname={address}", str(folder / "backup")])


def _put_back(ledger: Ledger, backup: Path, file: Path) -> None:
    ledger.close()
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(backup, file)


def _restored(ledger: Ledger, argv: list[str]) -> None:
    ledger.close()
    process.run(argv)


def released(ledger: Ledger, episode: Plan) -> Ref:
    """Make an episode and release it."""
    ledger.submit(episode, deadline=None)
    while held := claim(ledger):
        ledger.commit(held.step.id, held.token, made(held.step, token=held.token))
    release = Release(episode=episode.episode, at=ledger.now(), wall="now", editions=episode.editions)
    ledger.arm(release)
    ref = ledger.flip(episode.episode, generation=ledger.ref(episode.episode).generation)
    assert ref
    return ref


def test_a_token_is_never_given_out_twice(
    ledger: Ledger, ledger_address: str, tmp_path: Path, store: Store, names: Names
) -> None:
    """Who claimed after the backup can't commit to the restored ledger, nor write where its successor does."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    before = claimed(ledger)
    restore = backup(ledger, ledger_address, tmp_path)
    ledger.hand_back(before.step.id, before.token)
    after = claimed(ledger)
    restore()
    recover(ledger, store, names)
    with pytest.raises(Interrupted):
        ledger.commit(before.step.id, before.token, made(before.step))
    fresh = claimed(ledger)
    assert fresh.token > after.token > before.token
    assert fresh.attempt == 1
    with pytest.raises(Interrupted):
        ledger.commit(after.step.id, after.token, made(after.step))
    recover(ledger, store, names)
    assert claimed(ledger).token > fresh.token


def test_a_flip_that_was_forgotten_stays(
    ledger: Ledger, ledger_address: str, tmp_path: Path, store: Store, names: Names
) -> None:
    """The ref is what viewers get, of a version that the backup knows; the next flip is above it."""
    one = plan("e", [step("a")])
    released(ledger, one)
    restore = backup(ledger, ledger_address, tmp_path)
    second = ledger.turn(ledger.ref("e"), version=one.version, trim=WHOLE, by=By(who="ana", action="restore"))
    assert second
    mirror(store, second, entry_points(second, TRACKS, policy(), names))
    restore()
    assert ledger.ref("e").generation == 1
    found = recover(ledger, store, names)
    assert (found.raised, found.forgotten) == (("e",), ())
    ref = ledger.ref("e")
    assert (ref.generation, ref.version) == (2, one.version)
    assert recover(ledger, store, names).raised == ()
    assert released(ledger, plan("e", [step("b")])).generation == 3


def test_what_was_withdrawn_stays_withdrawn(
    ledger: Ledger, ledger_address: str, tmp_path: Path, store: Store, names: Names
) -> None:
    """Of what was turned after the backup, the entry points tell the trim; nothing offers the language again."""
    one = plan("e", [step("a")])
    released(ledger, one)
    restore = backup(ledger, ledger_address, tmp_path)
    trim = Trim(withdrawn=("de",), max_height=720, max_bitrate=3_500_000)
    turned = ledger.turn(ledger.ref("e"), version=one.version, trim=trim, by=By(who="ana", action="withdraw"))
    assert turned
    mirror(store, turned, entry_points(turned, TRACKS, policy(), names))
    restore()
    assert ledger.ref("e").trim == WHOLE
    recover(ledger, store, names)
    assert (ledger.ref("e").generation, ledger.ref("e").trim) == (2, trim)
    assert ledger.acts("e")[0].after == {"version": one.version, "trim": to_data(trim)}
    assert released(ledger, plan("e", [step("b")])).trim == trim


def test_what_viewers_were_taken_back_from_is_held(
    ledger: Ledger, ledger_address: str, tmp_path: Path, store: Store, names: Names
) -> None:
    """The backup has a release armed that has been, and that somebody rolled back: no clock does it again."""
    one, two = plan("e", [step("a")]), plan("e", [step("b")])
    released(ledger, one)
    ledger.submit(two, deadline=None)
    while held := claim(ledger):
        ledger.commit(held.step.id, held.token, made(held.step, token=held.token))
    ledger.arm(Release(episode="e", at=ledger.now(), wall="now", editions=two.editions))
    restore = backup(ledger, ledger_address, tmp_path)
    assert ledger.flip("e", generation=1)
    back = ledger.turn(ledger.ref("e"), version=one.version, trim=WHOLE, by=By(who="ana", action="rollback"))
    assert back
    mirror(store, back, entry_points(back, TRACKS, policy(), names))
    restore()
    recover(ledger, store, names)
    assert (ledger.ref("e").generation, ledger.ref("e").version) == (3, one.version)
    with pytest.raises(ReleaseError, match="held"):
        ledger.flip("e", generation=3)


def test_a_version_that_was_forgotten_is_said_and_not_overwritten(
    ledger: Ledger, ledger_address: str, tmp_path: Path, store: Store, names: Names
) -> None:
    """Nobody writes the entry points again until a version is released above it."""
    restore = backup(ledger, ledger_address, tmp_path)
    lost = released(ledger, plan("lost", [step("a")]))
    bodies = entry_points(lost, TRACKS, policy(), names)
    mirror(store, lost, bodies)
    restore()
    assert recover(ledger, store, names).forgotten == ("lost",)
    ref = ledger.ref("lost")
    assert (ref.generation, ref.state, ref.version) == (1, "released", None)
    with pytest.raises(ReleaseError, match="no version"):
        entry_points(ref, (), None, names)
    assert released(ledger, plan("lost", [step("a")])).generation == 2
