"""Releases in the ledger, on a real SQLite file and on a real PostgreSQL: one flip each, never early, all told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import ReleaseError
from pipelines.trim import Trim
from pipelines.wire import digest
from tests.fakes.farm import MEBIBYTE, claim, made, plan, step
from workers.ledger import By, Ledger, Release, open_ledger

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1000 * MEBIBYTE, slots=["heavy", "heavy", "light"])
    yield one
    one.close()


def armed(ledger: Ledger, at: datetime) -> Release:
    """A release of an episode whose only goal exists."""
    one = plan("e", [step("a")])
    ledger.submit(one, deadline=None)
    while held := claim(ledger):
        ledger.commit(held.step.id, held.token, made(held.step))
    release = Release(episode="e", at=at, wall="then", editions=one.editions)
    ledger.arm(release)
    return release


def test_of_two_clocks_exactly_one_flips(ledger: Ledger) -> None:
    """Each sees the release due at the same moment."""
    release = armed(ledger, ledger.now())
    with ThreadPoolExecutor(8) as clocks:
        flips = list(clocks.map(lambda _: ledger.flip("e", generation=0), range(8)))
    won = [ref for ref in flips if ref]
    assert [(ref.generation, ref.state, ref.version) for ref in won] == [(1, "released", release.version)]
    assert ledger.ref("e") == won[0]
    assert ledger.armed() == ()
    assert [(one.artifact.digest, one.released) for one in ledger.versions("e")] == [(release.version, True)]


def test_a_second_release_raises_the_generation(ledger: Ledger) -> None:
    """A corrected version goes through the same gate; what viewers have already is no release."""
    release = armed(ledger, ledger.now())
    ledger.flip("e", generation=0)
    ledger.arm(release)
    assert ledger.flip("e", generation=1) is None
    assert ledger.armed() == ()
    (edition,) = release.editions
    ledger.arm(replace(release, editions=(replace(edition, version=digest("corrected")),)))
    assert ledger.flip("e", generation=0) is None
    second = ledger.flip("e", generation=1)
    assert second
    assert (second.generation, second.version) == (2, digest("corrected"))


def two_editions(ledger: Ledger, *, whole: bool) -> Release:
    """A release of two editions, both armed for now; only the first is made, or both are."""
    first, second = plan("first", [step("must")]), plan("second", [step("should")])
    for one in (first, second) if whole else (first,):
        ledger.submit(one, deadline=None)
        while held := claim(ledger):
            ledger.commit(held.step.id, held.token, made(held.step))
    release = Release(episode="e", at=ledger.now(), wall="now", editions=(*first.editions, *second.editions))
    ledger.arm(release)
    return release


def test_the_fullest_edition_that_is_whole_is_released_and_the_rest_follows(ledger: Ledger) -> None:
    """At T the first, if the second is not there yet; that one by itself as soon as it is; and no third flip."""
    release = two_editions(ledger, whole=False)
    assert ledger.due("e") == release.editions[0]
    first = ledger.flip("e", generation=0)
    assert first
    assert (first.version, ledger.armed(), ledger.due("e")) == (release.editions[0].version, (release,), None)
    assert ledger.flip("e", generation=1) is None
    two_editions(ledger, whole=True)
    second = ledger.flip("e", generation=1)
    assert second
    assert (second.generation, second.version, ledger.armed()) == (2, release.editions[1].version, ())


def test_what_is_whole_at_t_is_released_whole(ledger: Ledger) -> None:
    """Viewers never see the lesser edition then."""
    release = two_editions(ledger, whole=True)
    flipped = ledger.flip("e", generation=0)
    assert flipped
    assert (flipped.version, ledger.armed()) == (release.editions[1].version, ())


def test_a_held_release_waits_for_an_operator(ledger: Ledger) -> None:
    """Also when it is submitted again meanwhile; `go` lifts the hold and nothing else."""
    release = armed(ledger, ledger.now())
    night = By(who="ana", action="hold", why="the dub is wrong")
    assert ledger.hold("e", held=True, by=night).held
    ledger.arm(release)
    with pytest.raises(ReleaseError, match="held"):
        ledger.flip("e", generation=0)
    ledger.hold("e", held=False, by=By(who="ana", action="go"))
    assert ledger.flip("e", generation=0)
    told = [(act.by.who, act.by.action, act.by.why, act.generation) for act in ledger.acts("e")]
    assert told == [("clock", "flip", "", 1), ("ana", "go", "", None), ("ana", "hold", "the dub is wrong", None)]


def test_what_stands_in_the_way_besides_a_hold_can_be_asked(ledger: Ledger) -> None:
    """And nothing is let go by asking."""
    release = armed(ledger, ledger.now())
    ledger.hold("e", held=True, by=By(who="ana", action="hold"))
    assert ledger.due("e", let_go=True) == release.editions[0]
    ledger.arm(replace(release, at=SOON))
    with pytest.raises(ReleaseError, match="too early"):
        ledger.due("e", let_go=True)
    with pytest.raises(ReleaseError, match="held"):
        ledger.due("e")


def test_who_arms_is_told(ledger: Ledger) -> None:
    """With what was armed before. A submission, which arms anew each time, is not an operator."""
    release = armed(ledger, SOON)
    assert ledger.acts("e") == ()
    ledger.arm(replace(release, wall="later"), by=By(who="ana", action="arm"))
    (act,) = ledger.acts("e")
    at = release.at.isoformat()
    assert (act.before, act.after) == (
        {"at": at, "wall": "then", "version": release.version},
        {"at": at, "wall": "later", "version": release.version},
    )


def test_a_ref_is_turned_by_compare_and_set(ledger: Ledger) -> None:
    """Of two operators who saw the same ref, one turns it; each turn is told with what was before."""
    release = armed(ledger, ledger.now())
    seen = ledger.flip("e", generation=0)
    assert seen
    withdrawn = Trim(withdrawn=("fr",))
    by = By(who="ana", action="withdraw")
    turned = ledger.turn(seen, version=release.version, trim=withdrawn, by=by)
    assert turned
    assert (turned.generation, turned.trim) == (2, withdrawn)
    assert ledger.turn(seen, version=release.version, trim=Trim(), by=by) is None
    act = ledger.acts("e")[0]
    assert (act.by, act.generation, act.before["trim"]["withdrawn"], act.after["trim"]["withdrawn"]) == (
        by, 2, [], ["fr"]
    )  # fmt: skip


def test_a_flip_leaves_withdrawn_what_is_withdrawn(ledger: Ledger) -> None:
    """An edition that follows must not bring back what an operator took out."""
    release = two_editions(ledger, whole=False)
    first = ledger.flip("e", generation=0)
    assert first
    trim = Trim(max_height=720)
    ledger.turn(first, version=release.editions[0].version, trim=trim, by=By(who="ana", action="cap"))
    two_editions(ledger, whole=True)
    second = ledger.flip("e", generation=2)
    assert second
    assert (second.version, second.trim) == (release.version, trim)


def test_who_rolls_back_is_not_overruled_by_the_clock(ledger: Ledger) -> None:
    """What is still armed is held until an operator lets it go."""
    release = two_editions(ledger, whole=False)
    first = ledger.flip("e", generation=0)
    assert first
    two_editions(ledger, whole=True)
    assert ledger.turn(first, version=digest("older"), trim=Trim(), by=By(who="ana", action="rollback"))
    with pytest.raises(ReleaseError, match="held"):
        ledger.flip("e", generation=2)
    assert [(one.version, one.held) for one in ledger.armed()] == [(release.version, True)]


def test_what_is_not_released_can_not_be_turned(ledger: Ledger) -> None:
    armed(ledger, SOON)
    with pytest.raises(ReleaseError, match="not released"):
        ledger.turn(ledger.ref("e"), version="x", trim=Trim(), by=By(who="ana", action="cap"))


def test_nothing_is_released_before_its_time(ledger: Ledger) -> None:
    release = armed(ledger, SOON)
    with pytest.raises(ReleaseError, match="too early"):
        ledger.flip("e", generation=0)
    assert ledger.ref("e").state == "not-yet"
    assert ledger.armed() == (release,)


def test_nothing_is_released_without_its_evidence(ledger: Ledger) -> None:
    """Fails closed, whatever the caller believes."""
    one = plan("e", [step("a")])
    ledger.submit(one, deadline=None)
    ledger.arm(Release(episode="e", at=ledger.now(), wall="now", editions=one.editions))
    with pytest.raises(ReleaseError, match="not ready"):
        ledger.flip("e", generation=0)


def test_nothing_is_released_that_nobody_armed(ledger: Ledger) -> None:
    with pytest.raises(ReleaseError, match="Nothing of `e` is armed"):
        ledger.flip("e", generation=0)
