"""What a release waits for, what follows it, and what may be given up so that it is in time."""

from dataclasses import replace

import pytest

from pipelines.delivery import Delivery
from pipelines.encode import EncodeJob
from pipelines.errors import DeliveryError
from pipelines.plan import Plan, fall_back, make_plan, missing
from pipelines.step import Step
from pipelines.warm import WarmJob
from presets.catalogue import load
from tests.unit.test_plan import PARIS, delivery, examined, made

RELEASE = {"at": "2026-11-29T03:00", "zone": "Europe/Paris"}


def planned(release: dict[str, object] | None = None) -> Plan:
    asked = delivery().model_dump(exclude_unset=True, by_alias=True)
    asked["release"] = RELEASE | (release or {})
    return make_plan(examined(Delivery.model_validate(asked)), load("quick"), [PARIS])


def held(plan: Plan) -> list[list[str]]:
    """The names of the tracks of each edition."""
    names = {track.digest: track.name for track in plan.tracks}
    return [[names[track] for track in edition.tracks] for edition in plan.editions]


def encodes(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if isinstance(step.job, EncodeJob)]


EVERYTHING = ["video 234p", "video 360p", "video 540p", "audio en original stereo", "audio fr dub stereo",
              "text fr subtitles", "thumbnails"]  # fmt: skip


def test_a_delivery_that_says_nothing_waits_for_everything_its_preset_must_have() -> None:
    """One edition; a rung that the preset can do without makes two."""
    (edition,) = planned().editions
    assert (edition.urgency, held(planned())) == ("must", [EVERYTHING])
    preset = load("quick")
    low, *_, high = preset.video.rungs
    less = preset.video.model_copy(update={"rungs": (low, high.model_copy(update={"must": False}))})
    found = make_plan(examined(), preset.model_copy(update={"video": less}))
    assert [(edition.urgency, len(edition.tracks)) for edition in found.editions] == [("must", 5), ("should", 6)]


def test_each_class_adds_an_edition() -> None:
    """Each holds what came before it, and the last holds everything."""
    plan = planned({"should": ["video 540p"], "later": ["text *"]})
    assert [edition.urgency for edition in plan.editions] == ["must", "should", "later"]
    assert [len(names) for names in held(plan)] == [5, 6, 7]
    assert "video 540p" not in held(plan)[0]
    assert held(plan)[2] == EVERYTHING
    assert plan.version == plan.editions[2].version


def test_what_is_urgent_is_not_encoded_with_what_is_not() -> None:
    """And comes first, in every chunk."""
    plan = planned({"should": ["video 540p"]})
    assert [(step.urgency, step.label.split()[2:]) for step in encodes(plan)[:: len(encodes(plan)) // 2]] == [
        ("must", ["234p", "360p"]),
        ("should", ["540p"]),
    ]


def test_what_is_urgent_does_not_wait_for_what_follows() -> None:
    """No step of the first edition, directly or not, needs one that is less urgent; nor counts one in its tail."""
    plan = planned({"should": ["video 540p"], "later": ["language fr"]})
    makers = {made: step for step in plan.steps for made in step.makes}
    first = [makers[goal] for goal in plan.editions[0].goals]
    while first:
        step = first.pop()
        assert step.urgency == "must"
        first += [makers[need] for need in step.needs]
    whole = {step.id: step.tail for step in planned().steps}
    assert all(step.tail <= whole[step.id] for step in plan.steps if step.urgency == "must" and step.id in whole)


def test_selectors_name_tracks_word_by_word() -> None:
    """`language fr` is a language version: its sound and its forced narrative, not its subtitles."""
    assert "text fr subtitles" in held(planned({"should": ["language fr"]}))[0]
    assert "audio fr dub stereo" not in held(planned({"should": ["language fr"]}))[0]
    assert held(planned({"should": ["audio FR * stereo"]})) == held(planned({"should": ["audio fr"]}))
    assert held(planned({"should": ["audio *"], "must": ["audio en"]})) == held(planned({"should": ["audio fr"]}))


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ({"should": ["audio de"]}, "`audio de` in the release names no track"),
        ({"later": ["video *"]}, "no rung as MUST"),
        ({"should": ["audio en"]}, "no `en` audio"),
        ({"fallback": [{"name": "no-picture", "drop": ["video *"]}]}, "fallback `no-picture` leaves no rung"),
    ],
)
def test_what_could_not_be_watched_is_refused(release: dict[str, object], said: str) -> None:
    with pytest.raises(DeliveryError, match=said):
        planned(release)


def test_a_fallback_makes_the_release_wait_for_less() -> None:
    """The version that has everything stays the same; what was given up follows as SHOULD; nothing is made anew."""
    whole = planned({"fallback": [{"name": "no-540p", "drop": ["video 540p"]}]})
    less = fall_back(whole, whole.fallbacks[0])
    assert less.version == whole.version
    assert held(less) == [[name for name in EVERYTHING if name != "video 540p"], EVERYTHING]
    assert less.editions == planned({"should": ["video 540p"]}).editions
    assert {step.id for step in less.steps} == {step.id for step in planned({"should": ["video 540p"]}).steps}
    tracks = {track.digest for track in whole.tracks}
    assert made(less) & tracks == tracks
    assert [step.job.kind for step in missing(less, made(whole))] == ["compose", "verify", "warm"]


def test_a_second_edition_warms_only_what_the_first_did_not() -> None:
    plan = planned({"should": ["video 540p"]})
    jobs = [step.job for step in plan.steps if isinstance(step.job, WarmJob)]
    assert [job.warmed for job in jobs] == [(), plan.editions[0].tracks]


def test_the_order_of_manifests_is_that_of_the_delivery() -> None:
    """Whatever is urgent, the fullest version is the same: viewers who get it late get what others got at once."""
    assert planned({"should": ["video 360p"]}).version == planned({"later": ["thumbnails"]}).version
    assert replace(planned(), editions=()) != planned()
