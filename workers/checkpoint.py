"""
Before a release, everything again: whether each object is there, each edge warm, each clock right, all work in time.

Evidence says what was well when it was made. `recheck` believes none of it: it verifies every edition that is whole and
proves it at every edge, and leaves each finding where the gate reads it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.edition import Edition
from pipelines.errors import ConfigurationError, EdgeError, ReleaseError, StoreError
from pipelines.layout import Names
from pipelines.matrix import URGENCIES, Urgency
from pipelines.plan import Plan
from pipelines.step import Job
from pipelines.version import VerifyJob, verify
from pipelines.warm import Evidence, WarmJob, prove
from pipelines.warm.evidence import same_cache
from pipelines.workspace import Watch, Workspace
from workers.clock import furthest_apart
from workers.farm import Farm
from workers.ledger import Lack, Overview, Release, StepView

#: How long before a release everything is looked at again.
CHECKPOINTS: Mapping[str, timedelta] = {
    "T-24 h": timedelta(hours=24),
    "T-6 h": timedelta(hours=6),
    "T-1 h": timedelta(hours=1),
    "T-10 min": timedelta(minutes=10),
}
#: What was found not to be well is looked at again after so long, so that what is mended can be released.
AGAIN = timedelta(minutes=1)
#: A round that began so long ago and has not ended is nobody's any more.
PATIENCE = timedelta(minutes=30)
#: From then on, what is not whole yet is in danger, however fast it goes.
LAST = CHECKPOINTS["T-10 min"]
#: Steps that a finding names; of the others it says how many.
NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one subject."""

    #: `store`, `edge NAME`, `clocks`; or `work`, which no check is kept of: it is about what is still to be made.
    subject: str
    #: Of the edition that it is about; empty for what is about all of them.
    edition: Urgency | str = ""
    #: What is wrong, in a sentence; empty when nothing is.
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found of one release."""

    release: Release
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What keeps the release, or a fuller edition of it, from happening unless it changes."""
        return tuple(finding for finding in self.findings if finding.said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A round of checks whose time has come."""

    #: Of `CHECKPOINTS`; empty for one that only sees whether what was not well has been mended.
    checkpoint: str
    #: It is not due if one ended since; nor while one is under way that began since.
    ended_before: datetime
    begun_before: datetime


def due(release: Release, lacks: Iterable[Lack], now: datetime) -> tuple[Due, ...]:
    """
    What is to be looked at by now, the first that is not done yet: the last checkpoint that has come, and what is not
    well. After T a release that still waits is only looked at for what keeps it from happening.
    """
    passed = {name: release.at - before for name, before in CHECKPOINTS.items() if release.at - before <= now}
    if not passed:
        return ()
    rounds = []
    if now < release.at:
        name, since = max(passed.items(), key=lambda one: one[1])
        rounds.append(Due(checkpoint=name, ended_before=since, begun_before=max(since, now - PATIENCE)))
    if any(lack.kind != "unproved" for lack in lacks):
        rounds.append(Due(checkpoint="", ended_before=now - AGAIN, begun_before=now - PATIENCE))
    return tuple(rounds)


def recheck(farm: Farm, release: Release, watch: Watch = lambda _share: None) -> Report:
    """
    Look at everything again, and keep each finding as soon as it is known. Raises only what `watch` does, and whatever
    the ledger fails of.

    An edge that this host can't ask (it lacks the edge's tokens, say) is told of, but no finding is kept: that says
    nothing about the edge, and what another host found may still be young enough.
    """
    overview = farm.ledger.overview(release.episode)
    with TemporaryDirectory(prefix="avant-checks-") as folder:
        findings = [_clocks(farm)]
        if overview is None or not all(edition in overview.plan.editions for edition in release.editions):
            said = f"What is armed of `{release.episode}` is not what was planned; submit it again"
            findings += [_kept(farm, edition, "store", said) for edition in release.editions]
        else:
            whole = [edition for edition in release.editions if edition.verification in overview.made]
            rounds = (_Round(farm, overview, edition, Path(folder), watch).findings() for edition in whole)
            findings += [*chain.from_iterable(rounds), *_late(overview, release)]
    return Report(release=release, findings=tuple(findings))


def named(said: str, plan: Plan, edition: Edition, names: Names) -> str:
    """`said` with what people call the tracks whose objects it names: `180p, fr dub stereo: …`."""
    called = {track.digest: track.label for track in plan.tracks} | {edition.version: "manifests"}
    places = {digest: (names.version if digest == edition.version else names.track)(digest) for digest in called}
    about = [
        label
        for digest, label in called.items()
        if re.search(rf"{places[digest]}\w|{re.escape(names.inventory(digest))}", said)
    ]
    return f"{', '.join(about)}: {said}" if about else said


@dataclass(frozen=True, slots=True)
class _Round:
    """Everything about one edition that is verified."""

    farm: Farm
    overview: Overview
    edition: Edition
    folder: Path
    watch: Watch

    def findings(self) -> Iterator[Finding]:
        jobs = {made: step.job for step in self.overview.plan.steps for made in step.makes}
        yield self._examined("store", lambda: self._verify(jobs[self.edition.verification]))
        proved: list[Evidence] = []
        for edge, made in self.edition.warmth.items():
            if made in self.overview.made:
                yield self._examined(f"edge {edge}", partial(self._prove, jobs[made], proved))

    def _verify(self, job: Job) -> None:
        if not isinstance(job, VerifyJob) or (job.version, job.tracks) != (self.edition.version, self.edition.tracks):
            raise ReleaseError("What was verified is not what is armed.", hint="Submit it again.")
        self.farm.store.check_conditional_writes()
        verify(job, self._workspace())

    def _prove(self, job: Job, others: list[Evidence]) -> None:
        if not isinstance(job, WarmJob) or job.version != self.edition.version:
            raise ReleaseError("What was proved is not what is armed.", hint="Submit it again.")
        checked = prove(job, self._workspace())
        if checked.evidence is None:
            raise EdgeError(checked.said)
        evidence = checked.evidence
        twin = next((other.edge for other in others if same_cache(other, evidence)), "")
        others.append(evidence)
        if twin:
            raise EdgeError(f"Edges {twin} and {evidence.edge} are one cache: only one of them is proved.")

    def _examined(self, subject: str, examine: Callable[[], None]) -> Finding:
        said = ""
        try:
            examine()
        except (ReleaseError, EdgeError, StoreError) as error:
            said = named(error.message, self.overview.plan, self.edition, self.farm.names)
        except ConfigurationError as error:
            said = error.message
            if subject != "store":
                said = f"It can't be asked from here: {said}"
                return Finding(subject=subject, edition=self.edition.urgency, said=said)
        return _kept(self.farm, self.edition, subject, said)

    def _workspace(self) -> Workspace:
        wanted = (self.edition.version, *self.edition.tracks)
        made = self.farm.ledger.artifacts(wanted)
        if lost := [self.farm.names.inventory(digest) for digest in wanted if digest not in made]:
            raise ReleaseError(f"The ledger does not know what {', '.join(lost)} lists any more.")
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return Workspace(
            scratch=scratch,
            store=self.farm.store,
            names=self.farm.names.knowing({digest: one.key for digest, one in made.items()}),
            attempt="",
            inputs=made,
            watch=self.watch,
        )


def _kept(farm: Farm, edition: Edition, subject: str, said: str) -> Finding:
    farm.ledger.found(edition.version, subject, said)
    return Finding(subject=subject, edition=edition.urgency, said=said)


def _clocks(farm: Farm) -> Finding:
    """No check is kept of it: each clock asks by itself, and one host that is wrong says nothing about the others."""
    try:
        furthest_apart(farm)
    except (ReleaseError, StoreError, ConfigurationError) as error:
        return Finding(subject="clocks", said=error.message)
    return Finding(subject="clocks", said="")


def _late(overview: Overview, release: Release) -> Iterator[Finding]:
    """Work that the least edition still waits for and that is late, or can't go on; one finding, naming the first."""
    least = release.editions[0]
    wanted = URGENCIES[: URGENCIES.index(least.urgency) + 1]
    open_ = [view for view in overview.steps if view.state != "done" and view.step.urgency in wanted]
    at_last = overview.now >= release.at - LAST
    why = [said for view in open_ if (said := _why_late(view, overview, at_last=at_last))]
    if why:
        more = f"; and {len(why) - NAMED} more" if len(why) > NAMED else ""
        yield Finding(subject="work", edition=least.urgency, said=f"{'; '.join(why[:NAMED])}{more}")


def _why_late(view: StepView, overview: Overview, *, at_last: bool) -> str:
    slack = overview.slack(view)
    if view in overview.stuck:
        why = f"failed: {view.fault.message.rstrip('.')}" if view.fault else "was given up: its workers vanished"
    elif slack is not None and slack < 0:
        why = "is late"
    else:
        why = "is not done" if at_last else ""
    return f"`{view.step.label}` {why}" if why else ""
