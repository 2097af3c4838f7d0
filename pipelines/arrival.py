"""
A dub or subtitles that have not come: the plan that an episode will have when they do.

Pure, and only supposed: nothing can be made of it, but how long it would take, and what it would hold up, can be told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import get_args

from pipelines.audio import AudioJob
from pipelines.delivery import AudioRole, TextKind
from pipelines.edition import rejoined
from pipelines.matrix import PlannedTrack, Urgency
from pipelines.plan import Plan, laid_out, terms_of
from pipelines.policy import Policy
from pipelines.source import Source
from pipelines.step import Step, step_of
from pipelines.subtitles import TextJob
from pipelines.track import PackageJob
from pipelines.wire import digest

AUDIO: tuple[AudioRole, ...] = get_args(AudioRole)
TEXT: tuple[TextKind, ...] = get_args(TextKind)
NOWHERE = Source(uri="", size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What comes: the sound or the text of a language."""

    what: AudioRole | TextKind
    #: BCP 47.
    language: str

    @property
    def name(self) -> str:
        """`fr dub`: what the labels of its tracks begin with."""
        return f"{self.language} {self.what}"


def arriving(plan: Plan, arrival: Arrival) -> tuple[Plan, frozenset[str]]:
    """
    `plan` with what arrives, and the ids of the steps that can't begin before it has.

    What the plan has by that name is replaced, and as urgent; what it lacks is MUST, a commentary SHOULD. A new sound
    has the layouts of the original's.
    """
    medium = "audio" if arrival.what in AUDIO else "text"
    mine = [track for track in plan.tracks if track.medium == medium and _is(track, arrival.name)]
    usual: Urgency = "should" if arrival.what == "commentary" else "must"
    urgency = mine[0].urgency if mine else usual
    terms = terms_of(plan)
    tracks, steps = _sound(plan, arrival, terms.policy) if medium == "audio" else _text(arrival, terms.policy)
    kept = [track for track in plan.tracks if track not in mine]
    place = max(number for number, track in enumerate(kept, start=1) if track.medium in ("video", "audio", medium))
    all_ = (*kept[:place], *(replace(track, urgency=urgency) for track in tracks), *kept[place:])
    media = _needed((*rejoined(plan.steps), *steps), all_)
    return laid_out(plan, media, all_, terms), frozenset(step.id for step in steps if not step.needs)


def _is(track: PlannedTrack, name: str) -> bool:
    return track.label == name or track.label.startswith(f"{name} ")


def _text(arrival: Arrival, policy: Policy) -> tuple[list[PlannedTrack], list[Step]]:
    made = digest({"arrives": arrival.name})
    job = TextJob(
        digest=made,
        source=NOWHERE,
        language=arrival.language,
        text_kind=next(kind for kind in TEXT if kind == arrival.what),
        offset=policy.duration * 0,
        frames=policy.frames,
        cadence=policy.cadence,
    )
    track = PlannedTrack(digest=made, medium="text", label=arrival.name, language=arrival.language, size=0)
    return [track], [step_of(job, label=f"text {arrival.name}")]


def _sound(plan: Plan, arrival: Arrival, policy: Policy) -> tuple[list[PlannedTrack], list[Step]]:
    """As the original's sound is made."""
    makers = {made: step for step in plan.steps for made in step.makes}
    tracks, steps = [], []
    for like in plan.tracks:
        if like.medium == "audio" and _is(like, f"{policy.default_language} original"):
            label = f"{arrival.name} {like.label.rpartition(' ')[2]}"
            packing, sound = makers[like.digest].job, makers[makers[like.digest].needs[0]].job
            assert isinstance(packing, PackageJob)  # noqa: S101 - sounds are made so
            assert isinstance(sound, AudioJob)  # noqa: S101
            heard, made = digest({"arrives": label, "as": "sound"}), digest({"arrives": label})
            steps.append(step_of(replace(sound, digest=heard, source=NOWHERE), label=f"audio {label}"))
            role = next(role for role in AUDIO if role == arrival.what)
            packed = replace(packing, digest=made, inputs=(heard,), language=arrival.language, role=role)
            steps.append(step_of(packed, needs=(heard,), label=f"package {label}"))
            tracks.append(replace(like, digest=made, label=label, language=arrival.language))
    return tracks, steps


def _needed(steps: Iterable[Step], tracks: Iterable[PlannedTrack]) -> tuple[Step, ...]:
    """The steps that lead to one of these tracks."""
    wanted = {track.digest for track in tracks}
    kept = []
    for step in reversed(tuple(steps)):
        if wanted.intersection(step.makes):
            kept.append(step)
            wanted.update(step.needs)
    return tuple(reversed(kept))
