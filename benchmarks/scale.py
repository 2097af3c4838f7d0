"""
A large farm on a simulated clock: the real planner, the real sort key, the real order of claims; only time is made up.

    python -m benchmarks.scale [--rounds 5] [--seed N] [--plot docs/scale.svg] [--quick] [--json]

A step takes its static cost times a lognormal spread (sigma 0.2); one in a hundred takes three times that. Two hundred
episodes on a thousand slots, then one premiere alone on 64: when all is made, against the lower bound that knows every
duration beforehand, the largest of *area* (work over the slots that may do it), *critical path*, and *whole waves* (of
k*m+1 encodes on m slots, one slot gets k+1). Then a day of arrivals: at 85 % of what the slots can do no deadline is
missed, nor at 120 % of which half is bulk. Without a bar: the same day first come, first served; and a day of
120 % that is all due, which nothing can do.

Slots are processors, as `avant worker --slots` counts them; each machine's light slots come on top. Their work is 1 %.
"""

import random
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from statistics import mean

from benchmarks.bars import Bar, Results, parser, say
from benchmarks.plot import Panel, drawn
from pipelines.delivery import Delivery
from pipelines.plan import Plan, make_plan
from pipelines.probe import Examined, Picture, Sound, Words
from pipelines.source import Source
from pipelines.step import Step
from presets.catalogue import load
from workers.lanes import HEAVY, mix
from workers.ledger.urgency import HOUR, latest_start
from workers.schedule import Span, Task, schedule

SIGMA = 0.2
STRAGGLERS, SLOWER = 0.01, 3.0
#: The makespan may be so much of the lower bound.
LIMIT = 1.10
FPS = 25
#: Minutes of the episodes, in turn.
LENGTHS = (45, 52, 22, 60)
DAY = 24 * HOUR
#: Segments of 6 s in an encode step, to see what their length costs; the preset has ten.
CHUNKS = (10, 5, 3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An episode that is handed in. Seconds on the simulated clock."""

    name: str
    plan: Plan
    arrival: float = 0.0
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of it."""

    tasks: Mapping[str, Task]
    spans: Mapping[str, Span]
    heavy: int

    @property
    def makespan(self) -> float:
        return max(span.end for span in self.spans.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """How far the durations are from the estimates."""

    sigma: float = SIGMA
    stragglers: float = STRAGGLERS

    def taken(self, step: Step, chance: random.Random) -> float:
        """Seconds that a step takes; on average what it is estimated at, but for stragglers."""
        spread = chance.lognormvariate(-self.sigma * self.sigma / 2, self.sigma)
        return step.cost * spread * (SLOWER if chance.random() < self.stragglers else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """How many processors, how lucky, and how long the chunks of its preset are."""

    heavy: int
    #: Whether the most urgent goes first; else first come, first served, to see what that is worth.
    urgent: bool = True
    luck: Luck = Luck()
    #: Segments of 6 s in an encode step; None: as the preset says.
    chunk_segments: int | None = None


@cache
def planned(minutes: int, chunk_segments: int | None = None) -> Plan:
    """The real plan of a made-up episode: 1080p25, an original in 5.1, two dubs in stereo, three texts."""
    preset = load("avc-hd")
    if chunk_segments:
        packaging = preset.packaging.model_copy(update={"chunk_segments": chunk_segments})
        preset = preset.model_copy(update={"packaging": packaging})
    film = Source(uri="/in/m.mov", size=1, sha256="ab" * 32)
    delivery = Delivery.model_validate(
        {
            "episode": "e",
            "title": "t",
            "preset": preset.name,
            "original_language": "en",
            "mezzanine": {"file": film.uri},
            "audio": [{"language": x, "role": "original" if x == "en" else "dub"} for x in ("en", "fr", "de")],
            "text": [{"language": x, "file": f"/in/{x}.srt"} for x in ("en", "fr", "de")],
        }
    )
    frames = minutes * 60 * FPS
    picture = Picture(
        source=film, demuxer="mov", stream=0, codec="h264", width=1920, height=1080, sample_aspect=Fraction(1),
        rotation=0, frame_rate=Fraction(FPS), frames=frames, start_frame=0,
    )  # fmt: skip
    sounds = tuple(
        Sound(
            declared=audio, source=replace(film, sha256=f"{n:02x}" * 32), demuxer="mov", stream=n, codec="pcm_s16le",
            sample_rate=48_000, channels=2 if n else 6, layout="stereo" if n else "5.1(side)",
            duration=Fraction(frames, FPS), offset=Fraction(0),
        )
        for n, audio in enumerate(delivery.audio)
    )  # fmt: skip
    words = tuple(
        Words(declared=text, source=Source(uri=text.file, size=1, sha256=f"c{n}" * 32), offset=Fraction(0), cues=1)
        for n, text in enumerate(delivery.text)
    )
    examined = Examined(delivery=delivery, picture=picture, first_frame=0, frames=frames, sounds=sounds, words=words)
    return make_plan(examined, preset)


def tasks_of(submission: Submission, farm: Farm, chance: random.Random) -> Iterator[Task]:
    """The steps of an episode as the ledger orders them, with the time that each will turn out to take."""
    makers = {made: step.id for step in submission.plan.steps for made in step.makes}
    for position, step in enumerate(submission.plan.steps):
        key = latest_start(step, deadline=submission.deadline, submitted_at=submission.arrival)
        yield Task(
            id=f"{submission.name}/{step.id}",
            lane=step.lane,
            key=(key if farm.urgent else submission.arrival, position),
            seconds=farm.luck.taken(step, chance),
            needs={f"{submission.name}/{makers[need]}" for need in step.needs},
            arrival=submission.arrival,
        )


def simulated(submissions: Sequence[Submission], farm: Farm, chance: random.Random) -> Ran:
    """What becomes of all of it."""
    tasks = [task for submission in submissions for task in tasks_of(submission, farm, chance)]
    slots = [slot.lanes for slot in mix(farm.heavy)]
    return Ran(tasks={task.id: task for task in tasks}, spans=schedule(tasks, slots), heavy=farm.heavy)


def bounds(ran: Ran) -> dict[str, float]:
    """What no schedule can be shorter than, for the durations that were drawn."""
    only_heavy = sorted((t.seconds for t in ran.tasks.values() if t.lane in ("encode", "audio")), reverse=True)
    waves = [
        sum(only_heavy[k * ran.heavy - k : k * ran.heavy + 1]) for k in range(1, (len(only_heavy) - 1) // ran.heavy + 1)
    ]
    every = sum(task.seconds for task in ran.tasks.values())
    ends: dict[str, float] = {}
    for task in ran.tasks.values():  # in an order in which they can run
        ends[task.id] = task.seconds + max((ends[need] for need in task.needs), default=0.0)
    return {
        "area": max(sum(only_heavy) / ran.heavy, every / len(mix(ran.heavy))),
        "critical path": max(ends.values()),
        "whole waves": max(waves, default=0.0),
    }


def missed(submissions: Sequence[Submission], ran: Ran) -> dict[str, float]:
    """By how many seconds each deadline was missed that was."""
    ends: dict[str, float] = defaultdict(float)
    for name, span in ran.spans.items():
        episode = name.partition("/")[0]
        ends[episode] = max(ends[episode], span.end)
    return {s.name: ends[s.name] - s.deadline for s in submissions if s.deadline and ends[s.name] > s.deadline}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A day of arrivals: shares of what the processors can do."""

    #: Due 1 to 4 hours after it came.
    due: float
    #: Without a deadline.
    bulk: float


def day(work: Load, farm: Farm, chance: random.Random) -> list[Submission]:
    """A day of arrivals, at random instants."""
    submissions: list[Submission] = []
    left = {True: work.due * farm.heavy * DAY, False: work.bulk * farm.heavy * DAY}
    for due in (True, False):
        while left[due] > 0:
            plan = planned(LENGTHS[len(submissions) % len(LENGTHS)])
            left[due] -= sum(step.cost for step in plan.steps)
            arrival = chance.uniform(0, DAY)
            deadline = arrival + chance.uniform(1, 4) * HOUR if due else None
            submissions.append(Submission(name=f"e{len(submissions)}", plan=plan, arrival=arrival, deadline=deadline))
    return submissions


def all_at_once(episodes: Sequence[int], farm: Farm, seed: int) -> Ran:
    """Episodes of those lengths, all there from the beginning, due one after the other."""
    submissions = [
        Submission(name=f"e{n}", plan=planned(minutes, farm.chunk_segments), deadline=DAY + n)
        for n, minutes in enumerate(episodes)
    ]
    return simulated(submissions, farm, random.Random(seed))


def ratio(ran: Ran) -> float:
    """The makespan over the lower bound."""
    return ran.makespan / max(bounds(ran).values())


def makespans(results: Results, name: str, episodes: Sequence[int], farm: Farm, seeds: Sequence[int]) -> Ran:
    """Several rounds of one load; the first is given back for the plot."""
    rounds = [all_at_once(episodes, farm, seed) for seed in seeds]
    ratios = [ratio(ran) for ran in rounds]
    say(f"{name}: {', '.join(f'{one:.3f}' for one in ratios)} of the bound")
    results.bars.append(Bar(name=name, measured=round(max(ratios), 4), limit=LIMIT, holds=max(ratios) <= LIMIT))
    results.extra[name] = {
        "makespan s": [round(ran.makespan) for ran in rounds],
        "of the bound": [round(one, 3) for one in ratios],
        **{kind: round(mean(bounds(ran)[kind] for ran in rounds)) for kind in bounds(rounds[0])},
    }
    return rounds[0]


def by_chunk(episodes: Sequence[int], heavy: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """What of the distance to the bound is whose: of the order, of the spread, of stragglers; by length of a chunk."""
    lucks = {
        "exact": Luck(sigma=0.0, stragglers=0.0),
        "spread": Luck(stragglers=0.0),
        "spread and stragglers": Luck(),
    }
    for segments in CHUNKS:
        farms = {name: Farm(heavy=heavy, luck=luck, chunk_segments=segments) for name, luck in lucks.items()}
        told = {name: round(ratio(all_at_once(episodes, farm, seed)), 3) for name, farm in farms.items()}
        say(f"chunks of {segments * 6} s: {told}")
        yield f"chunks of {segments * 6} s", told


def deadlines(name: str, work: Load, farm: Farm, seed: int) -> dict[str, int]:
    """A day of arrivals, and how many deadlines were missed."""
    chance = random.Random(seed)
    submissions = day(work, farm, chance)
    late = missed(submissions, simulated(submissions, farm, chance))
    due = sum(1 for submission in submissions if submission.deadline)
    say(f"{name}: {len(late)} of {due} missed")
    return {"episodes": len(submissions), "with a deadline": due, "missed": len(late)}


def busy(ran: Ran) -> Iterator[tuple[float, int]]:
    """How many heavy slots are at work, from each instant on."""
    classes = mix(ran.heavy)
    changes: dict[float, int] = defaultdict(int)
    for span in ran.spans.values():
        if classes[span.slot] is HEAVY:
            changes[span.start] += 1
            changes[span.end] -= 1
    now = 0
    for at in sorted(changes):
        now += changes[at]
        yield at, now


def panel(title: str, ran: Ran) -> Panel:
    return Panel(
        title=title,
        steps=tuple(busy(ran)),
        top=ran.heavy,
        end=ran.makespan,
        bound=max(bounds(ran).values()),
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--plot", type=Path, default=None)
    asked = options.parse_args()
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    seeds = [seed + n for n in range(2 if asked.quick else asked.rounds)]
    results = Results(title="scale", extra={"seed": seed})
    many = [LENGTHS[n % len(LENGTHS)] for n in range(200)]
    crowd = makespans(results, "200 episodes on 1,000 slots", many, Farm(heavy=1000), seeds)
    alone = makespans(results, "a premiere of 45 min on 64 slots", [45], Farm(heavy=64), seeds)
    makespans(results, "a premiere of 90 min on 64 slots", [90], Farm(heavy=64), seeds)
    half = Load(due=0.6, bulk=0.6)
    for name, work in (("deadlines missed at 85 % load", Load(due=0.65, bulk=0.2)), ("premieres late at 120 %", half)):
        results.extra[name] = told = deadlines(name, work, Farm(heavy=128), seed)
        results.bars.append(Bar(name=name, measured=told["missed"], limit=0, holds=not told["missed"]))
    for name, work, farm in (
        ("the same, first come, first served", half, Farm(heavy=128, urgent=False)),
        ("120 %, all of it due", Load(due=1.2, bulk=0), Farm(heavy=128)),
    ):
        results.extra[name] = deadlines(name, work, farm, seed)
    if not asked.quick:
        results.extra.update(by_chunk(many, 1000, seed))
    if asked.plot:
        panels = [panel("200 episodes on 1,000 slots", crowd), panel("A premiere of 45 minutes on 64 slots", alone)]
        asked.plot.write_text(drawn(panels, label="Slots at work over time, in simulation"))
    results.report(as_json=asked.json)


if __name__ == "__main__":
    main()
