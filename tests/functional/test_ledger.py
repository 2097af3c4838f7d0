"""The ledger, on a real SQLite file and on a real PostgreSQL."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import ConfigurationError, DeliveryError, Interrupted, StoreError, ToolError
from tests.fakes.farm import LANES, MEBIBYTE, claim, claimed, encode, made, plan, step
from workers.ledger import Ledger, open_ledger

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    one = open_ledger(ledger_address)
    one.enrol("h", memory=1000 * MEBIBYTE, slots=["heavy", "heavy", "light"])
    yield one
    one.close()


def labels(ledger: Ledger) -> list[str]:
    """The labels of all that can be claimed, in the order in which it is."""
    order = []
    while found := claim(ledger):
        order.append(found.step.label)
    return order


def states(ledger: Ledger, episode: str) -> list[str]:
    view = ledger.overview(episode)
    assert view
    return [one.state for one in view.steps]


def test_what_must_start_first_goes_first(ledger: Ledger) -> None:
    """The premiere before bulk that came earlier, MUST before SHOULD, the longest way first."""
    ledger.submit(plan("old", [step("bulk")]), deadline=None)
    steps = [step("late", urgency="should"), step("short", tail=5), step("long", tail=50)]
    ledger.submit(plan("premiere", steps), deadline=SOON)
    ledger.submit(plan("new", [step("more bulk")]), deadline=None)
    assert labels(ledger) == ["long", "short", "late", "bulk", "more bulk"]


def test_a_bump_moves_an_episode_forward(ledger: Ledger) -> None:
    """Submitting it again with a deadline is all there is to it."""
    ledger.submit(plan("a", [step("a")]), deadline=None)
    ledger.submit(plan("b", [step("b")]), deadline=None)
    ledger.submit(plan("b", [step("b")]), deadline=SOON)
    assert labels(ledger) == ["b", "a"]


def test_shared_work_is_as_urgent_as_its_most_urgent_episode(ledger: Ledger) -> None:
    """And is done once, for both."""
    ledger.submit(plan("premiere", [step("both")]), deadline=SOON)
    ledger.submit(plan("bulk", [step("alone"), step("both")]), deadline=None)
    assert labels(ledger) == ["both", "alone"]


def test_a_step_is_ready_when_all_it_needs_is_committed(ledger: Ledger) -> None:
    """In the transaction that commits the last of it, which says how many and in which lane."""
    a, b = step("a"), step("b")
    c = step("c", lane="package", needs=[a, b])
    ledger.submit(plan("e", [a, b, c]), deadline=None)
    first, second = claimed(ledger), claimed(ledger)
    assert claim(ledger) is None
    assert ledger.commit(first.step.id, first.token, made(first.step)) == {}
    assert ledger.commit(second.step.id, second.token, made(second.step)) == {"package": 1}
    third = claimed(ledger)
    assert third.step == c
    assert set(third.inputs) == {*a.makes, *b.makes}
    assert third.inputs[a.makes[0]] == made(a)[0]


def test_finished_work_is_not_done_again(ledger: Ledger) -> None:
    """A second submission runs only what is missing."""
    a, b = step("a"), step("b")
    ledger.submit(plan("e", [a, b]), deadline=None)
    done = claimed(ledger)
    ledger.commit(done.step.id, done.token, made(done.step))
    again = ledger.submit(plan("e", [a, b]), deadline=None)
    assert [one.label for one in again.steps] == ["b", "e-verified"]
    assert again.existing == {*a.makes}
    assert labels(ledger) == ["b"]


def test_a_rung_that_another_plan_is_making_is_waited_for(ledger: Ledger) -> None:
    """Two presets that share a rung encode it once."""
    ledger.submit(plan("one", [encode("one", ["90p", "180p"])]), deadline=None)
    both = encode("two", ["180p", "360p"])
    ran = ledger.submit(plan("two", [both]), deadline=None).steps
    assert [len(one.makes) for one in ran] == [1, 1]
    first, second = claimed(ledger), claimed(ledger)
    ledger.commit(second.step.id, second.token, made(second.step))
    assert claim(ledger) is None
    assert sum(ledger.commit(first.step.id, first.token, made(first.step)).values()) == 2
    assert states(ledger, "two") == ["done", "ready"]


def test_what_a_changed_plan_no_longer_needs_is_dropped(ledger: Ledger) -> None:
    """And taken up again if it is needed after all."""
    ledger.submit(plan("e", [step("old"), step("same")]), deadline=None)
    ledger.submit(plan("e", [step("new"), step("same")]), deadline=None)
    assert sorted(labels(ledger)) == ["new", "same"]
    ledger.submit(plan("e", [step("old")]), deadline=None)
    assert labels(ledger) == ["old"]


def test_a_stale_holder_changes_nothing(ledger: Ledger) -> None:
    """Its lease ran out, another has the step: it can't renew, commit, fail or hand back."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    stale = claimed(ledger, lease=-1)
    assert len(ledger.expire()) == 1
    fresh = claimed(ledger)
    assert (fresh.step, fresh.token) == (stale.step, stale.token + 1)
    name = stale.step.id
    assert not ledger.renew(name, stale.token, progress=0.5, lease_seconds=30)
    with pytest.raises(Interrupted):
        ledger.commit(name, stale.token, made(stale.step))
    with pytest.raises(Interrupted):
        ledger.fail(name, stale.token, ToolError("x"))
    ledger.hand_back(name, stale.token)
    assert ledger.renew(name, fresh.token, progress=0.5, lease_seconds=30)
    ledger.commit(name, fresh.token, made(fresh.step, token=2))
    assert ledger.artifacts(stale.step.makes)[stale.step.makes[0]].key.endswith("/2/")


def test_a_lease_that_is_renewed_does_not_expire(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    assert ledger.renew(held.step.id, held.token, progress=0.25, lease_seconds=30)
    assert ledger.expire() == ()
    view = ledger.overview("e")
    assert view
    assert (view.steps[0].state, view.steps[0].progress, view.steps[0].host) == ("running", 0.25, "h")


def test_a_lease_that_ran_out_is_not_renewed(ledger: Ledger) -> None:
    """Even if nobody has taken the step yet: somebody may be about to."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger, lease=-1)
    assert not ledger.renew(held.step.id, held.token, progress=0.5, lease_seconds=30)


def test_the_first_commit_of_an_artifact_stays(ledger: Ledger) -> None:
    """What others may have read already is never replaced."""
    one, two = encode("one", ["90p", "180p"]), step("two")
    ledger.submit(plan("e", [one, two]), deadline=None)
    first, second = claimed(ledger), claimed(ledger)
    ledger.commit(first.step.id, first.token, made(first.step, token=7))
    ledger.commit(second.step.id, second.token, (*made(second.step), *made(first.step, token=8)))
    assert {a.key[-3:] for a in ledger.artifacts(one.makes).values()} == {"/7/"}


def test_a_step_whose_holders_vanish_is_quarantined(ledger: Ledger) -> None:
    """The fifth time, it is the step that is suspected. Submitting again gives it another chance."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    for _ in range(5):
        claimed(ledger, lease=-1)
        assert len(ledger.expire()) == 1
    assert claim(ledger) is None
    view = ledger.overview("e")
    assert view
    assert [one.state for one in view.stuck] == ["quarantined"]
    assert view.stuck[0].fault
    ledger.submit(plan("e", [step("a")]), deadline=None)
    assert claimed(ledger).attempt == 1


def test_handing_back_and_taking_over_cost_no_attempt(ledger: Ledger) -> None:
    """A worker that is stopped on purpose says nothing about its step."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    for _ in range(20):
        held = claimed(ledger)
        ledger.hand_back(held.step.id, held.token)
    for _ in range(20):
        claimed(ledger)
        assert ledger.take_over("h") == 1
    assert claimed(ledger).attempt == 1


def test_a_tool_is_tried_three_times(ledger: Ledger) -> None:
    """Then the step has failed, and says why."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    pauses = []
    for _ in range(3):
        held = claimed(ledger)
        pauses.append(ledger.fail(held.step.id, held.token, ToolError("ffmpeg failed.", hint="Look.")).pause)
    assert pauses == [0.0, 0.0, None]
    assert states(ledger, "e") == ["failed", "waiting"]
    view = ledger.overview("e")
    assert view
    fault = view.stuck[0].fault
    assert fault
    assert (fault.kind, fault.message, fault.hint, fault.retryable) == ("ToolError", "ffmpeg failed.", "Look.", True)


def test_vanished_holders_do_not_use_up_a_tools_attempts(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a")]), deadline=None)
    for _ in range(3):
        claimed(ledger, lease=-1)
        ledger.expire()
    held = claimed(ledger)
    assert ledger.fail(held.step.id, held.token, ToolError("x")).pause == 0.0


def test_a_store_that_is_down_is_given_time(ledger: Ledger) -> None:
    """The step is ready, but nobody gets it yet, and no slot is woken for it."""
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    assert ledger.fail(held.step.id, held.token, StoreError("down")).pause == 1.0
    assert claim(ledger) is None
    assert ledger.look().ready == {}
    assert states(ledger, "e")[0] == "ready"


def test_a_bad_delivery_fails_at_once(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a")]), deadline=None)
    held = claimed(ledger)
    assert ledger.fail(held.step.id, held.token, DeliveryError("x")).pause is None
    assert states(ledger, "e") == ["failed", "waiting"]


def test_memory_is_reserved(ledger: Ledger) -> None:
    """What does not fit waits, and nothing less urgent overtakes it; another host may have it."""
    ledger.enrol("other", memory=1000 * MEBIBYTE, slots=[])
    steps = [step("a", memory=600 * MEBIBYTE), step("b", memory=600 * MEBIBYTE), step("c", memory=1)]
    ledger.submit(plan("e", steps), deadline=None)
    first = claimed(ledger)
    assert claim(ledger) is None
    assert claimed(ledger, host="other").step.label == "b"
    ledger.commit(first.step.id, first.token, made(first.step))
    assert claimed(ledger).step.label == "c"


def test_a_step_larger_than_the_host_has_it_for_itself(ledger: Ledger) -> None:
    """An estimate may be wrong; waiting for ever is."""
    ledger.submit(plan("e", [step("huge", memory=5000 * MEBIBYTE), step("b", memory=1)]), deadline=None)
    huge = claimed(ledger)
    assert huge.step.label == "huge"
    assert claim(ledger) is None
    ledger.hand_back(huge.step.id, huge.token)
    assert claimed(ledger).step.label == "huge"


def drained(address: str) -> list[str]:
    """Claim until nothing is left. At module level, for other processes."""
    one = open_ledger(address)
    found = []
    while held := claim(one):
        found.append(held.step.id)
    one.close()
    return found


def test_two_claimers_never_get_the_same_step(ledger: Ledger, ledger_address: str) -> None:
    """Threads and processes alike."""
    names = [f"s{n}" for n in range(60)]
    ledger.submit(plan("e", [step(name) for name in names]), deadline=None)
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2, mp_context=spawn) as processes:
        claims = [pool.submit(drained, ledger_address) for pool in (processes, processes, threads, threads, threads)]
        found = [one for each in claims for one in each.result()]
    assert sorted(found) == sorted(f"compose-{name}" for name in names)


def test_episodes_are_listed_with_their_deadline(ledger: Ledger) -> None:
    ledger.submit(plan("e", [step("a"), step("b")]), deadline=SOON)
    (view,) = ledger.episodes()
    assert (view.episode, view.title) == ("e", "E")
    assert view.deadline
    assert abs(view.deadline - SOON) < timedelta(milliseconds=1)


def test_an_episode_that_nobody_submitted_has_no_overview(ledger: Ledger) -> None:
    assert ledger.overview("nobody") is None


def test_the_ledgers_clock_tells_the_time(ledger: Ledger) -> None:
    assert abs(ledger.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="address"):
        open_ledger("ledger.db")


def test_an_unknown_host_gets_no_work(ledger: Ledger) -> None:
    """Its memory is not known."""
    with pytest.raises(ConfigurationError, match="stranger"):
        ledger.claim(LANES, worker="stranger/1", host="stranger", lease_seconds=30)


def test_a_plan_that_is_submitted_once_is_left_alone_the_second_time(ledger: Ledger) -> None:
    """Not even what failed starts afresh; another deadline, or another plan, is another matter."""
    one, due = plan("e", [step("a")]), datetime(2030, 1, 1, tzinfo=UTC)
    assert ledger.submit_once(one, deadline=due)
    view = ledger.overview("e")
    assert ledger.submit_once(one, deadline=due) is None
    again = ledger.overview("e")
    assert view
    assert again
    assert view.submitted_at == again.submitted_at
    assert ledger.submit_once(one, deadline=None)
    assert ledger.submit_once(plan("e", [step("b")]), deadline=None)
