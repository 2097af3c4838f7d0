"""
One value for the whole episode: what must be made, from what, in which order, at what cost.

Pure. `--dry-run` prints it, the ledger stores it, tests compare it, a retry resumes it. Every digest in it is known
before any work starts: the same inputs give the same plan.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from pipelines import audio, cost, encode, subtitles, thumbnails, track
from pipelines.audio import AudioJob
from pipelines.cadence import Cadence, cadence, chunks
from pipelines.delivery import Chapter, Fallback
from pipelines.edition import Edition, Terms, arranged, editions, rejoined, with_tails
from pipelines.encode import EncodeJob, RungEncode
from pipelines.instant import resolve
from pipelines.ladder import Fitted, fit
from pipelines.matrix import PlannedTrack, Urgency, check_enough, classed, dropped
from pipelines.policy import Mark, Policy
from pipelines.probe import Examined, Sound, Words
from pipelines.step import Job, Step, step_of
from pipelines.subtitles import TextJob
from pipelines.thumbnails import ThumbnailJob
from pipelines.timecode import frame_number
from pipelines.track import PackageJob
from pipelines.version import ComposeJob
from pipelines.warm import Edge, WarmJob
from pipelines.wire import digest, to_data
from presets.audio import AudioVariant
from presets.preset import Preset


@dataclass(frozen=True)
class Plan:
    """All the steps of an episode, in an order in which they can run."""

    episode: str
    title: str
    preset: str
    #: What may be released, the least first; the last has every track.
    editions: tuple[Edition, ...]
    frames: int
    frame_rate: Fraction
    tracks: tuple[PlannedTrack, ...]
    steps: tuple[Step, ...]
    #: What a release may give up so that it is in time, in the order in which it is offered.
    fallbacks: tuple[Fallback, ...] = ()
    #: Names of those that it has given up already, in that order.
    given_up: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Digest of the fullest version, which the plan goes by."""
        return self.editions[-1].version

    @cached_property
    def goals(self) -> tuple[str, ...]:
        """What must exist when all is done."""
        return tuple(goal for edition in self.editions for goal in edition.goals)

    @property
    def seconds(self) -> Fraction:
        """How long the programme is."""
        return self.frames / self.frame_rate


def make_plan(examined: Examined, preset: Preset, edges: Iterable[Edge] = ()) -> Plan:
    """The plan for an examined delivery. Takes values, touches nothing. Raises `DeliveryError`."""
    draft = _Draft(examined, preset)
    delivery = examined.delivery
    planned = [*draft.video(), *draft.sounds(), *draft.texts(), draft.sprites()]
    tracks = classed(planned, delivery.release, delivery.original_language)
    whole = Plan(
        episode=delivery.episode,
        title=delivery.title,
        preset=preset.name,
        editions=(),
        frames=examined.frames,
        frame_rate=examined.picture.frame_rate,
        tracks=(),
        steps=(),
        fallbacks=delivery.release.fallback if delivery.release else (),
    )
    at = resolve(delivery.release).utc if delivery.release else None
    return laid_out(whole, draft.steps, tracks, Terms(policy=draft.policy(), edges=tuple(edges), at=at))


def fall_back(plan: Plan, fallback: Fallback) -> Plan:
    """The same plan, waiting for less: the least edition lacks what `fallback` names. Raises `DeliveryError`."""
    tracks = dropped(plan.tracks, fallback)
    terms = terms_of(plan)
    check_enough(tracks, terms.policy.default_language, f"The fallback `{fallback.name}`")
    less = laid_out(plan, rejoined(plan.steps), tracks, terms)
    return replace(less, given_up=(*plan.given_up, fallback.name))


def terms_of(plan: Plan) -> Terms:
    """What all editions of a plan have in common."""
    jobs = [step.job for step in plan.steps]
    policy = next(job.policy for job in jobs if isinstance(job, ComposeJob))
    warmed = {job.edge.name: job for job in jobs if isinstance(job, WarmJob)}
    at = next((job.release for job in warmed.values()), None)
    return Terms(policy=policy, edges=tuple(job.edge for job in warmed.values()), at=at)


def laid_out(plan: Plan, media: Iterable[Step], tracks: tuple[PlannedTrack, ...], terms: Terms) -> Plan:
    """`plan` with these tracks: its editions, and all steps in the order and with the urgency that follow."""
    found, releasing = editions(tracks, terms)
    steps = with_tails((*arranged(media, tracks), *releasing))
    return replace(plan, editions=found, tracks=tracks, steps=steps)


def missing(plan: Plan, exists: set[str]) -> tuple[Step, ...]:
    """The steps of `plan` that must run when the artifacts in `exists` are already there."""
    makers = {made: step for step in plan.steps for made in step.makes}
    wanted: dict[str, set[str]] = {}
    open_ends = [goal for goal in plan.goals if goal not in exists]
    while open_ends:
        artifact = open_ends.pop()
        step = makers[artifact]
        if step.id not in wanted:
            open_ends += [need for need in step.needs if need not in exists]
        wanted.setdefault(step.id, set()).add(artifact)
    return tuple(_only(step, wanted[step.id]) for step in plan.steps if step.id in wanted)


def _only(step: Step, makes: set[str]) -> Step:
    """`step`, making no more than is asked: an encode leaves out the rungs that exist."""
    if not isinstance(step.job, EncodeJob) or makes == set(step.makes):
        return step
    kept = tuple(rung for rung in step.job.rungs if rung.digest in makes)
    job = replace(step.job, rungs=kept)
    return replace(step_of(job, label=step.label, urgency=step.urgency), tail=step.tail)


class _Draft:
    """The steps so far, and what all of them are made from."""

    def __init__(self, examined: Examined, preset: Preset) -> None:
        self.examined = examined
        self.preset = preset
        self.steps: list[Step] = []
        self.cadence = cadence(examined.picture.frame_rate, preset.audio.sample_rate, preset.packaging)
        self.chunks = chunks(examined.frames, self.cadence)
        self.lengths = tuple(frames for _, frames in self.chunks)
        self.ladder = fit(preset.video.rungs, examined.picture)

    def add(self, job: Job, *, label: str, needs: tuple[str, ...] = ()) -> None:
        step = step_of(job, needs=needs, label=label)
        # Two languages may name the same sound: it is made once.
        if all(known.id != step.id for known in self.steps):
            self.steps.append(step)

    def video(self) -> list[PlannedTrack]:
        """An encode step for every chunk, then one packaging step per rung."""
        for first, frames in self.chunks:
            label = f"encode {_span(first, frames, self.cadence)} {' '.join(rung.label for rung in self.ladder)}"
            self.add(self._encode_job(self.ladder, first, frames), label=label)
        return [self._video_track(rung) for rung in self.ladder]

    def sounds(self) -> list[PlannedTrack]:
        """For every language: one sound and one packaging step per layout that its source has."""
        return [
            self._audio_track(sound, variant)
            for sound in self.examined.sounds
            for variant in self.preset.audio.variants
            if variant.layout == "stereo" or sound.channels >= 6  # noqa: PLR2004 - 5.1 has six
        ]

    def texts(self) -> list[PlannedTrack]:
        return [self._text_track(words) for words in self.examined.words]

    def sprites(self) -> PlannedTrack:
        """Sprites from the smallest rung that is tall enough."""
        tall = [r for r in self.ladder if r.height >= self.preset.thumbnails.height]
        rung = min(tall, key=lambda r: r.height) if tall else max(self.ladder, key=lambda r: r.height)
        inputs = self._chunk_digests(rung)
        made = digest(
            {
                "recipe": thumbnails.RECIPE,
                "inputs": inputs,
                "thumbnails": to_data(self.preset.thumbnails),
                "cadence": to_data(self.cadence),
            }
        )
        job = ThumbnailJob(
            digest=made,
            inputs=inputs,
            lengths=self.lengths,
            cadence=self.cadence,
            width=rung.width,
            height=rung.height,
            thumbnails=self.preset.thumbnails,
        )
        self.add(job, needs=inputs, label="thumbnails")
        return PlannedTrack(digest=made, medium="thumbnails", label="thumbnails", size=cost.sprites(job))

    def policy(self) -> Policy:
        delivery = self.examined.delivery
        return Policy(
            title=delivery.title,
            default_language=delivery.original_language,
            cadence=self.cadence,
            frames=self.examined.frames,
            marks=tuple(self._mark(chapter) for chapter in delivery.chapters),
        )

    def _mark(self, chapter: Chapter) -> Mark:
        rate = self.examined.picture.frame_rate
        zero = self.examined.picture.start_frame + self.examined.first_frame
        return Mark(
            kind=chapter.kind,
            start=(frame_number(chapter.start, rate) - zero) / rate,
            end=(frame_number(chapter.end, rate) - zero) / rate if chapter.end else None,
            title=chapter.title,
        )

    def _encode_job(self, rungs: Sequence[Fitted], first: int, frames: int) -> EncodeJob:
        picture = self.examined.picture
        return EncodeJob(
            source=picture.source,
            demuxer=picture.demuxer,
            stream=picture.stream,
            pixels=picture.width * picture.height,
            frame_rate=picture.frame_rate,
            rotation=picture.rotation,
            first_frame=self.examined.first_frame + first,
            frames=frames,
            lead=picture.lead,
            matrix=picture.matrix,
            gop=self.cadence.gop,
            speed=self.preset.video.speed,
            rungs=tuple(
                RungEncode(
                    digest=self._chunk_digest(rung, first, frames),
                    rung=rung.rung,
                    width=rung.width,
                    height=rung.height,
                )
                for rung in rungs
            ),
        )

    def _chunk_digest(self, rung: Fitted, first: int, frames: int) -> str:
        """Of one rung's part of one chunk: everything that changes its pictures, and nothing else."""
        picture = self.examined.picture
        return digest(
            {
                "recipe": encode.RECIPE,
                "source": picture.source.identity,
                "stream": picture.stream,
                "frame_rate": str(picture.frame_rate),
                "rotation": picture.rotation,
                "lead": str(picture.lead),
                "matrix": picture.matrix,
                "first_frame": self.examined.first_frame + first,
                "frames": frames,
                "gop": self.cadence.gop,
                "speed": self.preset.video.speed,
                "size": [rung.width, rung.height],
                "rate": rung.rung.model_dump(include={"maxrate", "bufsize", "crf", "profile"}),
            }
        )

    def _chunk_digests(self, rung: Fitted) -> tuple[str, ...]:
        return tuple(self._chunk_digest(rung, first, frames) for first, frames in self.chunks)

    def _video_track(self, rung: Fitted) -> PlannedTrack:
        inputs = self._chunk_digests(rung)
        urgency: Urgency = "must" if rung.rung.must else "should"
        made = self._package("video", inputs, self.lengths, label=rung.label)
        size = int(self.examined.frames / self.cadence.frame_rate * rung.rung.bitrate / 8)
        return PlannedTrack(digest=made, medium="video", label=rung.label, urgency=urgency, size=size)

    def _audio_track(self, sound: Sound, variant: AudioVariant) -> PlannedTrack:
        rate = self.preset.audio.sample_rate
        samples = round(self.examined.frames / self.cadence.frame_rate * rate)
        parts = {
            "layout": sound.layout,
            "offset": sound.offset,
            "samples": samples,
            "sample_rate": rate,
            "variant": variant,
            "loudness": self.preset.audio.loudness,
        }
        inputs = {k: str(v) if isinstance(v, Fraction) else to_data(v) for k, v in parts.items()}
        source = {"source": sound.source.identity, "stream": sound.stream}
        made = digest({"recipe": audio.RECIPE, **source, **inputs})
        job = AudioJob(digest=made, source=sound.source, demuxer=sound.demuxer, stream=sound.stream, **_typed(parts))
        label = f"{sound.declared.language} {sound.declared.role} {variant.layout}"
        self.add(job, label=f"audio {label}")
        packed = self._package("audio", (made,), (samples,), label=label, sound=sound)
        size = int(samples / rate * variant.bitrate / 8)
        language, role = sound.declared.language, sound.declared.role
        urgency: Urgency = "should" if role == "commentary" else "must"
        return PlannedTrack(digest=packed, medium="audio", label=label, language=language, urgency=urgency, size=size)

    def _package(
        self,
        medium: Literal["video", "audio"],
        inputs: tuple[str, ...],
        lengths: tuple[int, ...],
        *,
        label: str,
        sound: Sound | None = None,
    ) -> str:
        who = {"language": sound.declared.language, "role": sound.declared.role} if sound else {}
        made = digest(
            {
                "recipe": track.RECIPE,
                "medium": medium,
                "inputs": inputs,
                "cadence": to_data(self.cadence),
                **who,
            }
        )
        job = PackageJob(
            digest=made, medium=medium, inputs=inputs, cadence=self.cadence, lengths=lengths, **_typed(who)
        )
        self.add(job, needs=inputs, label=f"package {label}")
        return made

    def _text_track(self, words: Words) -> PlannedTrack:
        declared = words.declared
        made = digest(
            {
                "recipe": subtitles.RECIPE,
                "source": words.source.identity,
                "language": declared.language,
                "kind": declared.kind,
                "offset": str(words.offset),
                "frames": self.examined.frames,
                "cadence": to_data(self.cadence),
            }
        )
        job = TextJob(
            digest=made,
            source=words.source,
            language=declared.language,
            text_kind=declared.kind,
            offset=words.offset,
            frames=self.examined.frames,
            cadence=self.cadence,
        )
        label = f"{declared.language} {declared.kind}"
        self.add(job, label=f"text {label}")
        return PlannedTrack(digest=made, medium="text", label=label, language=declared.language, size=words.source.size)


def _typed(parts: dict[str, Any]) -> Any:
    """Keywords that are checked where they arrive: the dataclass they are unpacked into."""
    return parts


def _span(first: int, frames: int, cadence: Cadence) -> str:
    """`0:12–0:24`"""
    a, b = (int(n / cadence.frame_rate) for n in (first, first + frames))
    return f"{a // 60}:{a % 60:02d}–{b // 60}:{b % 60:02d}"
