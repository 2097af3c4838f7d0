"""
A version's objects through one edge, in the order viewers will want them; then a second pass that proves it.

Asks only for what inventories list, so for what is published: an edge may remember that something was not there. The
entry points are no part of it; they change at T.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom
from time import monotonic
from typing import Literal

from pipelines import version
from pipelines.artifact import Artifact
from pipelines.errors import EdgeError
from pipelines.version import Item, policy_of
from pipelines.warm.budget import ESSENTIAL, Fitted, fit
from pipelines.warm.edges import Edge
from pipelines.warm.evidence import Checked, Evidence, TierProof
from pipelines.warm.judge import FRESH, MEANING, Fault, Rule
from pipelines.warm.players import PLAYERS, is_text
from pipelines.warm.progress import Progress
from pipelines.warm.proof import Prover, Seen, note, warming
from pipelines.warm.sweep import Asker
from pipelines.warm.tiers import Audience, Ranked, by_tier, rank
from pipelines.wire import digest, to_data
from pipelines.workspace import Workspace

#: Raised by hand when our own method changes what is asked for.
RECIPE = 2

#: Share of the objects that must be hits; of T0 and T1, all.
ENOUGH = 0.99
#: Of what was lost, so many keys are told.
TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmJob:
    """A version to be warmed at one edge, and proved."""

    kind: Literal["warm"] = "warm"
    #: Of the evidence.
    digest: str
    version: str
    tracks: tuple[str, ...]
    edge: Edge
    #: Those of them that this edge has been given already.
    warmed: tuple[str, ...] = ()
    #: When viewers get it, if that is known: what can't be warm by then is left, and copies outlast it by a day.
    release: datetime | None = None


def make(job: WarmJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """
    Ask the edge for every object, then again for the proof; what is lost between is warmed once more.

    Goes on where an attempt before it was killed. Raises `EdgeError` naming what is not warm, or what lie was found.
    """
    begun = datetime.now(UTC)
    ranked = ranking(job, workspace)
    fitted = budget(job, ranked, begun)
    _refuse_too_small(job, fitted)
    order = [one.item.key for one in fitted.taken]
    progress = Progress(workspace.store, workspace.names.warming(job.digest), digest(order), len(order))
    progress.load(begun)
    progress.noted.warmed |= _given(job, fitted.taken, workspace)
    with Asker(job.edge, workspace.scratch.parent) as asker:
        work = _Work(job=job, asker=asker, ranked=fitted.taken, progress=progress, watch=workspace.watch)
        try:
            started = monotonic()
            work.warm()
            warmed = monotonic()
            work.prove()
            proved = monotonic()
        finally:
            progress.write()
    found = work.evidence(left=len(fitted.left))
    progress.forget()
    seconds = {"first_pass_s": round(warmed - started, 3), "proof_s": round(proved - warmed, 3)}
    made = Artifact(
        digest=job.digest,
        kind="warmth",
        key=workspace.names.version(job.version),
        size=found.bytes,
        sha256=evidence(job, [one.item for one in fitted.taken]),
        facts={**to_data(found), **seconds},
    )
    return (made,)


def prove(job: WarmJob, workspace: Workspace) -> Checked:
    """
    Prove once more what was proved before, if the workspace has that evidence; only what was lost is warmed again.

    Of a warm edge it asks the origin nothing. Whatever an edge says or does not say is told, and not raised.
    """
    now = datetime.now(UTC)
    ranked = ranking(job, workspace)
    known, fitted = _proved(job, workspace, ranked), budget(job, ranked, now)
    taken = known or fitted.taken
    progress = Progress(None, "", "", len(taken))
    progress.noted.warmed = set(range(len(taken)))
    progress.noted.warmed_at = now
    with Asker(job.edge, workspace.scratch.parent) as asker:
        work = _Work(job=job, asker=asker, ranked=taken, progress=progress, watch=workspace.watch)
        try:
            if not known:
                _refuse_too_small(job, fitted)
            work.prove()
        except EdgeError as error:
            return _checked(work, now, None, f"{error.message} {error.hint}")
    proof = work.evidence(left=len(ranked) - len(taken))
    asked, lost = len(work.prover.sampled()), len(work.prover.lacking)
    said = f"{proof.hits} of {asked} objects are hits; {lost} had been lost, and were warmed again."
    return _checked(work, now, proof, said)


def _checked(work: "_Work", at: datetime, proof: Evidence | None, said: str) -> Checked:
    lost = sorted(work.prover.lacking)
    return Checked(
        edge=work.job.edge.name,
        version=work.job.version,
        checked_at=at,
        ok=proof is not None,
        said=said,
        objects=len(work.ranked),
        asked=len(work.prover.sampled()),
        hits=len(work.progress.noted.proved),
        lost=len(lost),
        first_lost=tuple(work.ranked[n].item.key for n in lost[:TOLD]),
        evidence=proof,
    )


def ranking(job: WarmJob, workspace: Workspace) -> list[Ranked]:
    """Every object of the version, in the order of warming."""
    tracks = version.load_tracks(workspace.inputs[track] for track in job.tracks)
    return rank(_listed(job, workspace), tracks, audience(job, workspace))


def audience(job: WarmJob, workspace: Workspace) -> Audience:
    """Who watches through the job's edge."""
    policy = policy_of(workspace.inputs[job.version])
    return Audience(region=job.edge.region, default_language=policy.default_language)


def budget(job: WarmJob, ranked: Sequence[Ranked], now: datetime) -> Fitted:
    """What of it the edge's limits allow until the release."""
    left = (job.release - now).total_seconds() if job.release and job.release > now else None
    return fit(ranked, job.edge, left)


def evidence(job: WarmJob, items: Iterable[Item]) -> str:
    """sha256 of what was proved: which objects, at which edge. The same proof has the same evidence."""
    listed = sorted((item.key, item.size, item.sha256) for item in items)
    return digest({"edge": job.edge.identity, "version": job.version, "objects": listed})


@dataclass(kw_only=True)
class _Work:
    """One warming under way."""

    job: WarmJob
    asker: Asker
    ranked: Sequence[Ranked]
    progress: Progress
    watch: Callable[[float], None]
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        at = max(self.job.release or datetime.now(UTC), datetime.now(UTC))
        self.prover = Prover(
            rule=Rule(edge=self.job.edge, until=at + FRESH),
            ranked=self.ranked,
            asker=self.asker,
            random=SystemRandom(),
        )

    def warm(self) -> None:
        """Ask for all that no earlier attempt asked for."""
        noted = self.progress.noted
        todo = {n: one for n, one in enumerate(self.ranked) if n not in noted.warmed}
        self._ask(todo, lambda: self.watch(len(noted.warmed) / max(1, len(self.ranked)) / 2))
        if todo or noted.warmed_at is None:
            noted.proved, noted.freshness, noted.warmed_at = set(), None, datetime.now(UTC)

    def prove(self) -> None:
        """Trials, the proof, what was lost once more, and a last look at what was proved first."""
        noted = self.progress.noted
        tick = self._tick
        tick()
        asked = self.prover.sampled()
        if noted.proved.isdisjoint(asked):
            self._refuse(self.prover.trials(tick))
        lost = self._pass([n for n in asked if n not in noted.proved], turn=0, kept_since=noted.warmed_at)
        if lost:
            self.progress.lost(set(lost))
            self._ask({n: self.ranked[n] for n in sorted(lost)}, tick)
            lost = self._pass(sorted(lost), turn=1, kept_since=None)
        self.seen.faults = lost
        self._refuse_cold(asked)
        gone, self.seen.same_copy = self.prover.again(sorted(noted.proved), tick)
        self.progress.lost(set(gone))
        self._refuse(gone)
        self.watch(1.0)

    def evidence(self, *, left: int) -> Evidence:
        """What was found, once it is enough."""
        noted = self.progress.noted
        asked = set(self.prover.sampled())
        index = {id(one): n for n, one in enumerate(self.ranked)}
        tiers = tuple(
            TierProof(
                tier=tier,
                objects=len(each),
                bytes=sum(one.item.size for one in each),
                asked=sum(index[id(one)] in asked for one in each),
                hits=sum(index[id(one)] in noted.proved for one in each),
            )
            for tier, each in by_tier(self.ranked).items()
        )
        return Evidence(
            edge=self.job.edge.name,
            proved_at=noted.warmed_at or datetime.now(UTC),
            objects=len(self.ranked),
            bytes=sum(one.item.size for one in self.ranked),
            hits=len(noted.proved),
            tiers=tiers,
            freshness=None if noted.freshness is None else int(noted.freshness),
            pops=tuple(sorted(self.seen.pops)),
            same_copy=self.seen.same_copy,
            left=left,
        )

    def _ask(self, todo: Mapping[int, Ranked], tick: Callable[[], None]) -> None:
        """Have them fetched and kept. An answer that is no object is none: it will be asked for again."""
        open_asks: dict[int, int] = {}
        for heard in self.asker.each(warming(todo), tick):
            n = heard.ask.index
            wanted = len(PLAYERS) if is_text(heard.ask.item) else 1
            open_asks[n] = open_asks.get(n, wanted) - (heard.answer.status == 200)  # noqa: PLR2004 - OK
            if not open_asks[n]:
                self.progress.did(warmed=n)

    def _pass(self, indexes: Sequence[int], *, turn: int, kept_since: datetime | None) -> dict[int, Fault]:
        noted = self.progress.noted
        began = noted.warmed_at or datetime.now(UTC)
        self.seen.freshness = noted.freshness
        lost: dict[int, Fault] = {}
        for n, fault, heard in self.prover.pass_over(indexes, turn, kept_since, self._tick):
            if fault:
                lost[n] = fault
                continue
            note(self.seen, heard, self.prover.rule, began)
            noted.freshness = self.seen.freshness
            self.progress.did(proved=n)
        return lost

    def _tick(self) -> None:
        asked = len(self.progress.noted.proved)
        self.watch(min(1.0, (1 + asked / max(1, len(self.ranked))) / 2))

    def _refuse_cold(self, asked: Sequence[int]) -> None:
        faults = self.seen.faults
        # Of what matters less, a few may be cold; but none may be wrong.
        grave = [n for n, fault in faults.items() if fault.kind != "cold" or self.ranked[n].tier in ESSENTIAL]
        if not grave and len(faults) <= (1 - ENOUGH) * len(asked):
            return
        first = min(faults)
        self._refuse({first: self.prover.cause(first, faults[first]), **{n: faults[n] for n in faults if n != first}})

    def _refuse(self, faults: Mapping[int, Fault]) -> None:
        if not faults:
            return
        edge, first = self.job.edge, min(faults)
        fault = faults[first]
        meaning, hint = MEANING[fault.kind]
        raise EdgeError(
            f"Edge {edge.name} ({edge.url}) is not warm: {len(faults)} of {len(self.ranked)} objects {meaning}; "
            f"the first is {self.ranked[first].item.key} ({fault.detail}).",
            hint=hint,
        )


def _refuse_too_small(job: WarmJob, fitted: Fitted) -> None:
    if fitted.lacking:
        raise EdgeError(
            f"Edge {job.edge.name} can't be warm in time: {len(fitted.lacking)} objects of T0 and T1 are beyond its "
            f"{fitted.limit.replace('_', ' ')}.",
            hint="Raise its `capacity` in edges.toml, or warm earlier (`avant warm plan` shows what fits).",
        )


def _given(job: WarmJob, ranked: Sequence[Ranked], workspace: Workspace) -> set[int]:
    """Which of the objects this edge has been given with an edition before: their tracks are whole, or not of it."""
    prefixes = tuple(workspace.names.track(track) for track in job.warmed)
    return {number for number, one in enumerate(ranked) if one.item.key.startswith(prefixes)}


def _proved(job: WarmJob, workspace: Workspace, ranked: Sequence[Ranked]) -> Sequence[Ranked]:
    """What its evidence is of, if there is any: less time or another quota, since then, made nothing cold."""
    found = workspace.inputs.get(job.digest)
    return ranked[: found.facts["objects"]] if found and found.kind == "warmth" else ()


def _listed(job: WarmJob, workspace: Workspace) -> Iterator[Item]:
    for made in (job.version, *job.tracks):
        yield from version.inventory(workspace.store, workspace.names, workspace.inputs[made])
