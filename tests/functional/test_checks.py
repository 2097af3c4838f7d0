"""Findings and notices in the ledger, on a real SQLite file and on a real PostgreSQL: of many clocks, one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.errors import ReleaseError
from tests.fakes.farm import claim, made, plan, step
from workers.ledger import Ledger, Release, open_ledger

BODY = {"subjects": ["store"]}


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    with closing(open_ledger(ledger_address)) as one:
        one.enrol("h", memory=1 << 40, slots=["heavy"])
        yield one


def test_a_finding_is_news_when_it_is_a_first_fault_or_another_answer(ledger: Ledger) -> None:
    """The last counts; since when it has been so is kept."""
    said = ["", "", "cold", "still cold", ""]
    assert [ledger.found("v", "edge paris", each) for each in said] == [False, False, True, False, True]
    assert ledger.found("v", "store", "gone")
    first, second = ledger.checks("v")
    assert (first.subject, first.ok, second.subject, second.said) == ("edge paris", True, "store", "gone")
    assert abs(first.changed_at - first.checked_at) < timedelta(seconds=0.1)
    ledger.found("v", "store", "gone, all of it")
    again = ledger.checks("v")[1]
    assert (again.changed_at, again.said) == (second.changed_at, "gone, all of it")
    assert again.checked_at > second.checked_at


def armed(ledger: Ledger, *, edges: tuple[str, ...] = ()) -> Release:
    """A release that could go out now, by evidence of this moment."""
    whole = plan("e", [step("a")])
    ledger.submit(whole, deadline=None)
    while held := claim(ledger):
        ledger.commit(held.step.id, held.token, made(held.step))
    (edition,) = whole.editions
    edition = replace(edition, warmth=dict.fromkeys(edges, edition.verification))
    release = Release(episode="e", at=ledger.now(), wall="now", editions=(edition,))
    ledger.arm(release)
    return release


def test_a_failed_check_keeps_a_release_from_happening_until_it_is_well(ledger: Ledger) -> None:
    """Of an edge that the release does not wait for, it does not."""
    release = armed(ledger, edges=("paris",))
    ledger.found(release.version, "edge lyon", "It is cold.")
    ledger.found(release.version, "clocks", "They differ.")
    assert ledger.lacking(release.editions[0]) == ()
    ledger.found(release.version, "edge paris", "180p: it is cold.")
    with pytest.raises(ReleaseError, match=r"`e` is not ready: edge paris: 180p: it is cold\."):
        ledger.flip("e", generation=0)
    ledger.found(release.version, "edge paris", "")
    assert ledger.flip("e", generation=0)


def test_what_viewers_have_is_not_taken_from_them_by_a_check(ledger: Ledger) -> None:
    """Nor said to be held up: it is released."""
    release = armed(ledger)
    (edition,) = release.editions
    fuller = replace(edition, version="00" * 32, verification="11" * 32)
    ledger.arm(replace(release, editions=(edition, fuller)))
    assert ledger.flip("e", generation=0)
    ledger.found(edition.version, "store", "It is gone.")
    assert ledger.due("e") is None
    assert ledger.flip("e", generation=1) is None
    assert ledger.ref("e").generation == 1


def test_of_many_clocks_one_begins_a_round(ledger: Ledger) -> None:
    """And one the next, once that has ended or was given up."""
    when = {"ended_before": ledger.now(), "begun_before": ledger.now() - timedelta(minutes=30)}
    with ThreadPoolExecutor(8) as clocks:

        def begun() -> int:
            return sum(clocks.map(lambda _: ledger.begin_round("v", **when), range(8)))

        assert (begun(), begun()) == (1, 0)
        ledger.end_round("v", whole=False)
        assert (begun(), begun()) == (1, 0)
        ledger.end_round("v", whole=True)
        assert begun() == 0
        when["ended_before"] = ledger.now()
        assert (begun(), begun()) == (1, 0)


def test_of_many_clocks_one_tells_and_one_sends(ledger: Ledger) -> None:
    """What all of them found; and what is taken is sent by nobody again."""
    armed(ledger)
    with ThreadPoolExecutor(8) as clocks:
        told = list(clocks.map(lambda _: ledger.tell("e", BODY, news="subjects", again=False), range(8)))
        held = [notice for notice in clocks.map(lambda _: ledger.next_notice(), range(8)) if notice]
    assert sum(told) == 1
    assert [(notice.body, notice.attempt) for notice in held] == [(BODY, 1)]
    ledger.taken(held[0])
    assert ledger.notices("e") == [(BODY, True)]
    assert ledger.tell("e", {"subjects": []}, news="subjects", again=False)
    assert not ledger.tell("e", {"subjects": []}, news="subjects", again=True)


def test_the_rules_that_a_time_was_resolved_by_are_in_the_audit_trail(ledger: Ledger) -> None:
    """Once for each time that was promised."""
    release = armed(ledger)
    for _ in range(2):
        ledger.arm(release, tzdata="2026a")
    later = replace(release, at=release.at + timedelta(hours=1), wall="2026-11-29 03:00 Europe/Paris")
    ledger.arm(later, tzdata="2026b")
    (act,) = ledger.acts("e")
    assert (act.by.action, act.before["wall"], act.after["wall"], act.after["tzdata"]) == (
        "arm", "now", "2026-11-29 03:00 Europe/Paris", "2026b"
    )  # fmt: skip
