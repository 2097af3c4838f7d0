"""
Asked again, as others: is it warm, and does the edge tell the truth about it?

First trials of a few objects, in each of which one thing only is different from the request that warmed them (the
player, the token, a range): an edge that keeps a copy for each is found before the proof itself warms those. Then the
proof, by players other than the one that warmed. Last, objects asked before are asked once more: what was warm may be
gone, or may have been fetched each time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from random import Random

from pipelines.version import Item
from pipelines.warm.budget import ESSENTIAL
from pipelines.warm.judge import Fault, FaultKind, Rule, needs_time, same_copy
from pipelines.warm.players import ANDROID, APPLE, BROWSER, PLAYERS, Headers, asked_by, is_text, stranger
from pipelines.warm.sweep import Ask, Asker, Heard
from pipelines.warm.tiers import Ranked
from pipelines.warm.verdict import cache_name, freshness

#: Objects in the trials: one of every five hundred, but no fewer and no more than these.
TRIED = (4, 8)
#: Objects of the beginning, and of all, that are asked for once more at the end.
AGAIN = 64
#: Seconds after which the Age of one copy has grown, and another's Date is another: they are told in whole seconds.
GROWN = 2.5
#: Texts by which the other players are behind the first.
BEHIND = 16

Faults = dict[int, Fault]


@dataclass(slots=True)
class Seen:
    """What a proof saw beside hits."""

    faults: Faults = field(default_factory=dict)
    #: Least freshness, in seconds.
    freshness: float | None = None
    pops: set[str] = field(default_factory=set)
    same_copy: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """A proof of what `ranked` lists, at one edge."""

    rule: Rule
    ranked: Sequence[Ranked]
    asker: Asker
    random: Random
    #: Objects that were found lacking, whatever became of them.
    lacking: set[int] = field(default_factory=set)

    def trials(self, tick: Callable[[], None]) -> Faults:
        """Objects that come cold as soon as one thing is different: how the edge's cache key is wrong."""
        for index in self._tried():
            tick()
            if self._asked(index, BROWSER) is not None:
                self.lacking.add(index)
                continue  # gone, or never kept: that is for the proof to find
            for kind, headers, viewer in self._others(index):
                fault = self._asked(index, headers, viewer)
                # Only if nothing else has changed meanwhile.
                if fault and fault.kind == "cold" and self._asked(index, BROWSER) is None:
                    self.lacking.add(index)
                    return {index: Fault(kind=kind, detail=_difference(kind, headers))}
        return {}

    def pass_over(
        self, indexes: Iterable[int], turn: int, kept_since: datetime | None, tick: Callable[[], None]
    ) -> Iterator[tuple[int, Fault | None, Heard]]:
        """Ask for each as its players do, others in each `turn`; what it lacks, once all of its players have asked."""
        asks = (ask for index in indexes for ask in self._asks(index, turn))
        open_asks: dict[int, int] = {}
        worst: Faults = {}
        for heard in self.asker.each(asks, tick):
            index = heard.ask.index
            fault = self.rule.fault(heard, kept_since=kept_since)
            if fault:
                worst[index] = fault
                self.lacking.add(index)
            open_asks[index] = open_asks.get(index, self._count(index)) - 1
            if not open_asks[index]:
                del open_asks[index]
                yield index, worst.get(index), heard

    def again(self, proved: Sequence[int], tick: Callable[[], None]) -> tuple[Faults, bool | None]:
        """Ask some of `proved` twice more: are they still there, and is it one copy? None: nothing tells."""
        early = sorted(proved)[:AGAIN]
        some = sorted({*early, *self.random.sample(sorted(proved), min(AGAIN, len(proved)))})
        first = {heard.ask.index: heard for heard in self.asker.each(map(self._plain, some), tick)}
        faults = {index: fault for index, heard in first.items() if (fault := self.rule.fault(heard))}
        gone = {index: _evicted(fault) for index, fault in faults.items()}
        few = [index for index in some if index not in gone][: TRIED[1]]
        if any(needs_time(self.rule.edge, first[index]) for index in few):
            self.asker.pause(GROWN)
        seconds = self.asker.each([self._plain(index) for index in few], tick)
        same = {heard.ask.index: same_copy(self.rule.edge, first[heard.ask.index], heard) for heard in seconds}
        told = {index: one for index, one in same.items() if one is not None}
        others = [index for index, one in told.items() if not one]
        if 2 * len(others) <= len(told):
            others = []  # machines of one PoP may each have fetched a copy; one that lies does so every time
        new = {index: Fault(kind="refetched", detail="another copy") for index in others}
        self.lacking.update(gone, new)
        return {**gone, **new}, (not others) if told else None

    def cause(self, index: int, fault: Fault) -> Fault:
        """Why an object is cold even after it was warmed again."""
        if fault.kind != "cold":
            return fault
        for _ in range(2):
            kept = self._asked(index, BROWSER)
        if kept is not None:
            return kept
        # The players have copies of their own by now, if that is what the edge does: so one that nobody has asked as.
        headers = {**self._new(BROWSER, self.ranked[index].item), "Accept-Encoding": "identity;q=0.9"}
        other = self._asked(index, headers)
        return Fault(kind="varies", detail=_difference("varies", headers)) if other else _evicted(fault)

    def sampled(self) -> list[int]:
        """What the proof asks for: tiers that matter whole, of the others the share that the edge's document says."""
        return [n for n, one in enumerate(self.ranked) if one.tier in ESSENTIAL or self._drawn(one)]

    def _tried(self) -> list[int]:
        """Half of them text, which edges compress, and half media."""
        count = min(max(len(self.ranked) // 500, TRIED[0]), TRIED[1])
        halves: tuple[list[int], list[int]] = ([], [])
        for index, one in enumerate(self.ranked):
            halves[is_text(one.item)].append(index)
        return [index for half in halves for index in self.random.sample(half, min(count // 2, len(half)))]

    def _drawn(self, one: Ranked) -> bool:
        # By name, so that a proof that is resumed asks for the same ones.
        draw = int(sha256(one.item.key.encode()).hexdigest()[:8], 16) / 0x1_0000_0000
        return draw < self.rule.edge.sample

    def _new(self, player: Headers, item: Item) -> Headers:
        """As that player asks, but one who never asked here: an earlier proof may have left a copy for each other."""
        return stranger(asked_by(player, item), self.random.getrandbits(48))

    def _others(self, index: int) -> Iterator[tuple[FaultKind, Headers, int]]:
        """Each with one thing different from the first viewer's request, who warmed."""
        item = self.ranked[index].item
        for viewer in range(1, self.asker.viewers):
            yield "tokens", BROWSER, viewer
        yield "varies", self._new(BROWSER, item), 0
        if not is_text(item):
            yield "varies", self._new(APPLE, item), 0
            yield "varies", self._new(ANDROID, item), 0
            yield "varies", {**BROWSER, "Range": "bytes=0-1023"}, 0

    def _count(self, index: int) -> int:
        return len(PLAYERS) if is_text(self.ranked[index].item) else 1

    def _asks(self, index: int, turn: int) -> Iterator[Ask]:
        item = self.ranked[index].item
        players = PLAYERS if is_text(item) else (PLAYERS[1 + (index + turn) % (len(PLAYERS) - 1)],)
        others = range(1, self.asker.viewers) or range(1)
        viewer = others[(index + turn) % len(others)]
        for player in players:
            yield Ask(index=index, item=item, headers=self._new(player, item), viewer=viewer, hashed=True)

    def _plain(self, index: int) -> Ask:
        return Ask(index=index, item=self.ranked[index].item, headers=BROWSER)

    def _asked(self, index: int, headers: Headers, viewer: int = 0) -> Fault | None:
        item = self.ranked[index].item
        return self.rule.fault(self.asker.one(Ask(index=index, item=item, headers=headers, viewer=viewer)))


def warming(ranked: Mapping[int, Ranked]) -> Iterator[Ask]:
    """
    The requests that warm: media as the first player asks, text as every one does.

    The others ask for a text a little later: at once, an edge that does not collapse requests would fetch it for each.
    """
    later: deque[int] = deque()
    for index, one in ranked.items():
        yield _as(BROWSER, index, one)
        if is_text(one.item):
            later.append(index)
        while len(later) > BEHIND:
            yield from _by_others(later.popleft(), ranked)
    for index in later:
        yield from _by_others(index, ranked)


def _by_others(index: int, ranked: Mapping[int, Ranked]) -> Iterator[Ask]:
    return (_as(player, index, ranked[index]) for player in PLAYERS[1:])


def _as(player: Headers, index: int, one: Ranked) -> Ask:
    return Ask(index=index, item=one.item, headers=asked_by(player, one.item))


def note(seen: Seen, heard: Heard, rule: Rule, proved_at: datetime) -> None:
    """Keep what one hit says about freshness and place."""
    left = freshness(rule.edge.kind, heard.answer.headers, heard.at)
    if left is not None:
        left -= (proved_at - heard.at.astimezone(UTC)).total_seconds()
        seen.freshness = left if seen.freshness is None else min(seen.freshness, left)
    name = cache_name(rule.edge.kind, heard.answer.headers)
    if name:
        seen.pops.add(name)


def _evicted(fault: Fault) -> Fault:
    return Fault(kind="evicted", detail=fault.detail) if fault.kind == "cold" else fault


def _difference(kind: FaultKind, headers: Headers) -> str:
    if kind == "tokens":
        return "cold with another token"
    return "cold for a range" if "Range" in headers else f"cold for {headers['User-Agent']}"
