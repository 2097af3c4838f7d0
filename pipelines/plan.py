"""
One value for the whole episode: what must be made, from what, in which order, at what cost.

Pure. `--dry-run` prints it, the ledger stores it, tests compare it, a retry resumes it. Every digest in it is known
before any work starts: the same inputs give the same plan.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines import audio, cost, encode, subtitles, thumbnails, track, version, warm
from pipelines.audio import AudioJob
from pipelines.cadence import Cadence, cadence, chunks
from pipelines.delivery import Chapter
from pipelines.encode import EncodeJob, RungEncode
from pipelines.instant import resolve
from pipelines.ladder import Fitted, fit
from pipelines.policy import Mark, Policy
from pipelines.probe import Examined, Sound, Words
from pipelines.subtitles import TextJob
from pipelines.thumbnails import ThumbnailJob
from pipelines.timecode import frame_number
from pipelines.track import PackageJob
from pipelines.version import ComposeJob, VerifyJob
from pipelines.warm import Edge, WarmJob
from pipelines.wire import digest, to_data
from presets.audio import AudioVariant
from presets.preset import Preset

Lane = Literal["encode", "audio", "package", "warm", "control"]
Urgency = Literal["must", "should", "later"]
Job = Annotated[
    EncodeJob | AudioJob | PackageJob | TextJob | ThumbnailJob | ComposeJob | VerifyJob | WarmJob,
    Field(discriminator="kind"),
]

LANES: dict[str, Lane] = {
    "encode": "encode",
    "audio": "audio",
    "package": "package",
    "text": "package",
    "thumbnails": "package",
    "compose": "control",
    "verify": "control",
    "warm": "warm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One piece of work that is done as a whole or not at all."""

    #: The kind and the beginning of the digest of what it makes: the same work has the same id.
    id: str
    lane: Lane
    #: For people: `encode 0:12–0:24 234p 360p`.
    label: str
    job: Job
    #: Digests of the artifacts that it starts from, and of those it makes.
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    urgency: Urgency
    #: Estimated seconds of one core.
    cost: float
    #: Estimated seconds from its start to the end of the plan, along the longest way.
    tail: float = 0.0
    #: Bytes that it may hold at once.
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrack:
    """One track of the version, for people and for readiness."""

    digest: str
    medium: Literal["video", "audio", "text", "thumbnails"]
    #: `540p`, `fr dub stereo`, `en sdh`, `thumbnails`.
    label: str
    #: Estimated bytes.
    size: int


@dataclass(frozen=True)
class Plan:
    """All the steps of an episode, in an order in which they can run."""

    episode: str
    title: str
    preset: str
    #: Digest of the version that comes out, and of the check that must pass.
    version: str
    verification: str
    #: Digests of the evidence of warmth, by edge.
    warmth: dict[str, str]
    frames: int
    frame_rate: Fraction
    tracks: tuple[PlannedTrack, ...]
    steps: tuple[Step, ...]

    @cached_property
    def goals(self) -> tuple[str, ...]:
        """What must exist before a release."""
        return (self.verification, *self.warmth.values())

    @property
    def seconds(self) -> Fraction:
        """How long the programme is."""
        return self.frames / self.frame_rate


def make_plan(examined: Examined, preset: Preset, edges: Iterable[Edge] = ()) -> Plan:
    """The plan for an examined delivery. Takes values, touches nothing."""
    draft = _Draft(examined, preset)
    rungs = draft.video()
    sounds = draft.sounds()
    texts = draft.texts()
    sprites = draft.sprites()
    planned = [*rungs, *sounds, *texts, sprites]
    tracks = tuple(t.digest for t in planned)
    policy = draft.policy()
    composed = digest({"recipe": version.RECIPE, "tracks": tracks, "policy": to_data(policy)})
    verified = digest({"recipe": version.RECIPE, "verified": composed})
    draft.add(ComposeJob(digest=composed, tracks=tracks, policy=policy), needs=tracks, label="compose manifests")
    draft.add(
        VerifyJob(digest=verified, version=composed, tracks=tracks, policy=policy),
        needs=(composed, *tracks),
        label="verify every object",
    )
    warmth = {}
    released = examined.delivery.release
    for edge in sorted(edges, key=lambda edge: edge.role != "shield"):
        proof = digest({"recipe": warm.RECIPE, "version": composed, "edge": edge.identity})
        warmth[edge.name] = proof
        # A PoP fills from its shield: warmed before it, it would ask the origin too.
        shield = (warmth[edge.shield],) if edge.shield else ()
        at = resolve(released).utc if released else None
        draft.add(
            WarmJob(digest=proof, version=composed, tracks=tracks, edge=edge, release=at),
            needs=(verified, composed, *tracks, *shield),
            label=f"warm {edge.name}",
        )
    return Plan(
        episode=examined.delivery.episode,
        title=examined.delivery.title,
        preset=preset.name,
        version=composed,
        verification=verified,
        warmth=warmth,
        frames=examined.frames,
        frame_rate=examined.picture.frame_rate,
        tracks=tuple(planned),
        steps=_with_tails(draft.steps),
    )


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
    return replace(_step(job, needs=(), label=step.label, urgency=step.urgency), tail=step.tail)


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

    def add(
        self,
        job: Job,
        *,
        label: str,
        needs: tuple[str, ...] = (),
        urgency: Urgency = "must",
    ) -> None:
        step = _step(job, needs=needs, label=label, urgency=urgency)
        # Two languages may name the same sound: it is made once.
        if all(known.id != step.id for known in self.steps):
            self.steps.append(step)

    def video(self) -> list[PlannedTrack]:
        """Encode steps for every chunk and class, then one packaging step per rung."""
        for must in (True, False):
            rungs = [rung for rung in self.ladder if rung.rung.must is must]
            for first, frames in self.chunks if rungs else ():
                job = self._encode_job(rungs, first, frames)
                span = _span(first, frames, self.cadence)
                label = f"encode {span} {' '.join(rung.label for rung in rungs)}"
                self.add(job, label=label, urgency=_urgency(must))
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

    def _encode_job(self, rungs: list[Fitted], first: int, frames: int) -> EncodeJob:
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
        made = self._package("video", inputs, self.lengths, label=rung.label, urgency=_urgency(rung.rung.must))
        size = int(self.examined.frames / self.cadence.frame_rate * rung.rung.bitrate / 8)
        return PlannedTrack(digest=made, medium="video", label=rung.label, size=size)

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
        packed = self._package("audio", (made,), (samples,), label=label, urgency="must", sound=sound)
        size = int(samples / rate * variant.bitrate / 8)
        return PlannedTrack(digest=packed, medium="audio", label=label, size=size)

    def _package(
        self,
        medium: Literal["video", "audio"],
        inputs: tuple[str, ...],
        lengths: tuple[int, ...],
        *,
        label: str,
        urgency: Urgency,
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
        self.add(job, needs=inputs, label=f"package {label}", urgency=urgency)
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
        return PlannedTrack(digest=made, medium="text", label=label, size=words.source.size)


def _urgency(must: bool) -> Urgency:
    return "must" if must else "should"


def _typed(parts: dict[str, Any]) -> Any:
    """Keywords that are checked where they arrive: the dataclass they are unpacked into."""
    return parts


def _step(job: Job, *, needs: tuple[str, ...], label: str, urgency: Urgency) -> Step:
    makes = tuple(rung.digest for rung in job.rungs) if isinstance(job, EncodeJob) else (job.digest,)
    return Step(
        id=f"{job.kind}-{digest(makes)[:16]}",
        lane=LANES[job.kind],
        label=label,
        job=job,
        needs=needs,
        makes=makes,
        urgency=urgency,
        cost=cost.seconds(job),
        memory=cost.memory(job),
    )


def _with_tails(steps: list[Step]) -> tuple[Step, ...]:
    """Each step with the length of the longest way from its start to the plan's end. Steps stand in running order."""
    longest: dict[str, float] = {}  # from an artifact's existence to the end
    done = []
    for step in reversed(steps):
        tail = step.cost + max((longest.get(made, 0.0) for made in step.makes), default=0.0)
        for need in step.needs:
            longest[need] = max(longest.get(need, 0.0), tail)
        done.append(replace(step, tail=tail))
    return tuple(reversed(done))


def _span(first: int, frames: int, cadence: Cadence) -> str:
    """`0:12–0:24`"""
    a, b = (int(n / cadence.frame_rate) for n in (first, first + frames))
    return f"{a // 60}:{a % 60:02d}–{b // 60}:{b % 60:02d}"
