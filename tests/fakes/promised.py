"""An episode that is whole: published, verified, warm at every edge, and armed, with nothing made up but its bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines import version, warm
from pipelines.artifact import Artifact
from pipelines.edition import Edition
from pipelines.matrix import PlannedTrack
from pipelines.plan import Plan
from pipelines.publish import File, publish
from pipelines.step import Job, Step
from pipelines.track import Track
from pipelines.version import ComposeJob, Item, VerifyJob
from pipelines.warm import Edge, WarmJob
from pipelines.wire import to_data
from pipelines.workspace import Workspace
from tests.fakes.farm import claimed
from tests.fakes.pages import CADENCE, POLICY, SPRITES, digest, rung, sound, world
from workers.farm import Farm
from workers.ledger import Release

TRACKS: tuple[Track, ...] = (
    rung(234, 145_000, "avc1.4d400d"),
    sound("pt-BR", "original", 2),
    sound("ar", "dub", 2),
    SPRITES,
)
MAKERS: Mapping[type, Callable[..., tuple[Artifact, ...]]] = {
    ComposeJob: version.make,
    VerifyJob: version.verify,
    WarmJob: warm.make,
}


def published(track: Track, workspace: Workspace) -> Artifact:
    """Bytes of the right sizes, where the track says that they are."""
    whole = world([rung(234, 1, "avc1"), sound("en", "original", 2), track])
    files = [
        File(name=key.removeprefix(track.prefix), body=whole.texts[key].encode() if key in whole.texts else bytes(size))
        for key, size in whole.sizes.items()
        if key.startswith(track.prefix)
    ]
    done = publish(workspace, digest=track.digest, prefix=track.prefix, stages=[files])
    facts = {**to_data(track), "tools": {"ffmpeg": "9"}}
    return Artifact(
        digest=track.digest, kind="track", key=track.prefix, size=done.size, sha256=done.sha256, facts=facts
    )


@dataclass(frozen=True, kw_only=True)
class Promised:
    """A farm with an episode, and its release."""

    farm: Farm
    release: Release
    workspace: Workspace

    @property
    def edition(self) -> Edition:
        return self.release.editions[-1]

    @property
    def items(self) -> list[Item]:
        """All that the version's inventories list."""
        made = self.farm.ledger.artifacts([self.edition.version, *self.edition.tracks]).values()
        return [item for each in made for item in version.inventory(self.farm.store, self.farm.names, each)]

    def key(self, track: str, end: str) -> str:
        """The first object of the track of that name (or of the version: `version`) whose key ends so."""
        names = self.farm.names
        place = names.version(self.edition.version) if track == "version" else names.track(digest(track))
        return next(item.key for item in self.items if item.key.startswith(place) and item.key.endswith(end))


def planned(episode: str, edges: Sequence[Edge], *, at: datetime | None = None) -> Plan:
    """A plan of those tracks, with steps that make them as `promised` does."""
    tracks = tuple(track.digest for track in TRACKS)
    made = digest(f"{episode} version")
    jobs: list[tuple[Job, tuple[str, ...]]] = [
        (ComposeJob(digest=made, tracks=tracks, policy=POLICY), tracks),
        (
            VerifyJob(digest=digest(f"{episode} verified"), version=made, tracks=tracks, policy=POLICY),
            (made, *tracks),
        ),
    ]
    for edge in edges:
        evidence = digest(f"{episode} {edge.name}")
        jobs.append((WarmJob(digest=evidence, version=made, tracks=tracks, edge=edge, release=at), (made, *tracks)))
    labels = ("234p", "pt-BR original stereo", "ar dub stereo", "thumbnails")
    media = ("video", "audio", "audio", "thumbnails")
    packaging = [ComposeJob(digest=track, tracks=(), policy=POLICY) for track in tracks]
    steps = [_step(episode, job, ()) for job in packaging] + [_step(episode, job, needs) for job, needs in jobs]
    return Plan(
        episode=episode,
        title=POLICY.title,
        preset="quick",
        editions=(
            Edition(
                urgency="must",
                version=made,
                verification=digest(f"{episode} verified"),
                warmth={edge.name: digest(f"{episode} {edge.name}") for edge in edges},
                tracks=tracks,
            ),
        ),
        frames=POLICY.frames,
        frame_rate=CADENCE.frame_rate,
        tracks=tuple(
            PlannedTrack(digest=track, medium=medium, label=label, size=1)  # type: ignore[arg-type]  # the field's words
            for track, medium, label in zip(tracks, media, labels, strict=True)
        ),
        steps=tuple(steps),
    )


def promised(farm: Farm, edges: Sequence[Edge], at: datetime, *, wall: str = "then") -> Promised:
    """An episode `e` of which everything was made, armed for `at`."""
    store, names, ledger = farm.store, farm.names, farm.ledger
    (scratch := farm.settings.home / "made").mkdir(parents=True)
    workspace = Workspace(
        scratch=scratch, store=store, names=names, attempt="attempts/x/1/", inputs={}, watch=lambda _: None
    )
    plan = planned("e", edges)
    ledger.submit(plan, deadline=at)
    placed = {track.digest: replace(track, prefix=names.track(track.digest)) for track in TRACKS}
    for _ in plan.steps:
        held = claimed(ledger)
        job = held.step.job
        inputs = ledger.artifacts(held.step.needs)
        here = replace(workspace, inputs=inputs)
        track = placed.get(held.step.makes[0])
        made = (published(track, here),) if track else MAKERS[type(job)](job, here)
        ledger.commit(held.step.id, held.token, made)
    release = Release(episode="e", at=at, wall=wall, editions=plan.editions)
    ledger.arm(release)
    return Promised(farm=farm, release=release, workspace=workspace)


def _step(episode: str, job: Job, needs: tuple[str, ...]) -> Step:
    makes = (job.digest,)  # type: ignore[union-attr]  # none of ours is an EncodeJob
    return Step(
        id=f"{job.kind}-{makes[0][:16]}",
        lane="control",
        label=f"{episode} {job.kind}",
        job=job,
        needs=needs,
        makes=makes,
        urgency="must",
        cost=1.0,
        tail=10.0,
        memory=0,
    )
