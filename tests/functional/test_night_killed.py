"""
Whoever flips, withdraws, caps or rolls back is killed at every moment: viewers get the old state or the new one, whole.

A moment is before a statement of a transaction, before its commit, after it; before a write of an entry point, after
it.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.layout import Names, entry_points
from pipelines.release import Ref, generation_of, mirror
from pipelines.trim import Trim
from scripts.avant.release import release as group
from tests.fakes import night
from tests.fakes.mortal_farm import DiedError, Life, MortalLedger, MortalStore
from tests.fakes.night import EPISODE
from workers.clock import Clock, rendered
from workers.farm import Farm
from workers.ledger import By, Ledger, open_ledger
from workers.settings import Settings

NAMES = Names(key=b"k" * 32)
BY = By(who="ana", action="withdraw")
CAPPED = Trim(withdrawn=("fr",), max_height=360)


@dataclass(kw_only=True)
class World:
    """A ledger in a file and what viewers see, at one moment; `farm` continues from there for one mortal."""

    folder: Path
    objects: dict[str, bytes]

    @contextmanager
    def farm(self, life: Life) -> Iterator[Farm]:
        ledger = MortalLedger(f"sqlite:///{self.folder / 'ledger.db'}", life)
        store: Any = MortalStore(life=life, objects=self.objects)
        yield Farm(settings=Settings(home=self.folder), store=store, names=NAMES, ledger=ledger)
        ledger.close()

    def copied(self, folder: Path) -> "World":
        folder.mkdir()
        shutil.copy(self.folder / "ledger.db", folder)
        return World(folder=folder, objects=dict(self.objects))


def born(folder: Path) -> World:
    """A ledger with one host, and nothing for viewers."""
    folder.mkdir()
    with closing(open_ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        ledger.enrol("h", memory=1 << 40, slots=["heavy"])
    return World(folder=folder, objects={})


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that moves the ref once, and what has to be so before."""

    name: str
    prepare: Callable[[Farm], object]
    act: Callable[[Farm], object]


def command(*words: str) -> Callable[[Farm], object]:
    """The command as it is typed, on this farm."""

    def typed(farm: Farm) -> object:
        @contextmanager
        def opened(_settings: Settings) -> Iterator[Farm]:
            yield farm

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("workers.night.open_night", opened)
            return CliRunner().invoke(group, [*words, "--yes"], catch_exceptions=False)

    return typed


def clock(farm: Farm) -> object:
    return Clock(farm).tick()


def release(*versions: str) -> Callable[[Farm], object]:
    """Versions that viewers get, one after the other."""

    def each(farm: Farm) -> None:
        for version in versions:
            night.made(farm.ledger, NAMES, version)
            clock(farm)

    return each


def armed(farm: Farm) -> None:
    release("first")(farm)
    night.made(farm.ledger, NAMES, "second")


def trimmed(farm: Farm) -> None:
    release("first", "second")(farm)
    ref = farm.ledger.ref(EPISODE)
    assert farm.ledger.turn(ref, version=ref.version or "", trim=CAPPED, by=BY)
    clock(farm)


def rearmed(farm: Farm) -> None:
    """Trimmed, and another version on its way."""
    trimmed(farm)
    farm.ledger.arm(replace(_later(farm.ledger), episode=EPISODE))


def _later(ledger: Ledger) -> Any:
    night.made(ledger, NAMES, "third")
    (release,) = ledger.armed()
    return replace(release, at=release.at.replace(year=2100))


CASES = (
    Case(name="first flip", prepare=lambda farm: night.made(farm.ledger, NAMES, "first"), act=clock),
    Case(name="second flip", prepare=armed, act=clock),
    Case(name="withdraw", prepare=release("first"), act=command("withdraw", EPISODE, "fr")),
    Case(name="cap", prepare=release("first"), act=command("cap", EPISODE, "360p")),
    Case(name="rollback", prepare=rearmed, act=command("rollback", EPISODE)),
)
#: The way of those above, backwards.
BACK = (
    Case(name="restore", prepare=trimmed, act=command("restore", EPISODE, "fr")),
    Case(name="uncap", prepare=trimmed, act=command("uncap", EPISODE)),
)
#: Who ends what was begun; in turn, from death to death, where there is no time for both at each.
ENDINGS = ["in turn", *(pytest.param(each, marks=pytest.mark.long) for each in ("any clock", "the same again"))]
LONG = [pytest.param(case, marks=pytest.mark.long) for case in BACK]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("case", [*CASES, *LONG], ids=lambda case: case.name)
def test_viewers_get_the_old_or_the_new_whole(case: Case, ending: str, tmp_path: Path) -> None:
    """At every moment; and then a clock, or the same command again, ends it: one generation on, exactly once."""
    before = born(tmp_path / "before")
    with before.farm(Life()) as farm:
        case.prepare(farm)
        old, old_bodies = farm.ledger.ref(EPISODE), dict(before.objects)
    after = before.copied(tmp_path / "after")
    with after.farm(Life()) as farm:
        case.act(farm)
        new, held = farm.ledger.ref(EPISODE), [release.held for release in farm.ledger.armed()]
    assert new.generation == old.generation + 1
    assert whole(after.objects, new.generation)
    deaths = 0
    while True:
        life = Life(left=deaths)
        world = before.copied(tmp_path / str(deaths))
        with world.farm(life) as farm:
            with suppress(DiedError):
                case.act(farm)
            lived, life.left = bool(life.left), None
            assert settled(farm.ledger.ref(EPISODE)) in (settled(old), settled(new))
            for key, body in world.objects.items():
                assert body in (old_bodies.get(key), after.objects[key])
            by_clock = ending == "any clock" or (ending == "in turn" and deaths % 2 == 0)
            if by_clock:
                clock(farm)
            # Nobody knows of what was not decided; and a rollback that viewers have is done: again means further back.
            if not whole(world.objects, new.generation) or (not by_clock and case.name != "rollback"):
                case.act(farm)
            assert settled(farm.ledger.ref(EPISODE)) == settled(new)
            assert [release.held for release in farm.ledger.armed()] == held
            assert [act.generation for act in farm.ledger.acts(EPISODE)].count(new.generation) == 1
            assert world.objects == after.objects
        if lived:
            break
        deaths += 1
    assert deaths > 8


def test_no_generation_comes_back(tmp_path: Path) -> None:
    """A, B, then A again: whoever still holds the first A writes nothing, and the third is not the first."""
    world = born(tmp_path / "world")
    with world.farm(Life()) as farm:
        refs: list[Ref] = []
        for act in (release("first"), release("second"), command("rollback", EPISODE)):
            act(farm)
            refs.append(farm.ledger.ref(EPISODE))
        assert [ref.generation for ref in refs] == [1, 2, 3]
        assert refs[0].version == refs[2].version
        last = dict(world.objects)
        for ref in refs:
            mirror(farm.store, ref, rendered(farm, ref))
        assert world.objects == last
        assert whole(last, 3)


def test_files_disagree_only_between_writes(tmp_path: Path) -> None:
    """HLS, DASH and JSON are written one after the other, and nothing else is done in between."""
    world = born(tmp_path / "world")
    with world.farm(Life()) as farm:
        release("first")(farm)
        seen: list[list[int]] = []
        farm.store.seen = lambda: seen.append([generation_of(body) for body in world.objects.values()])  # type: ignore[attr-defined]
        command("withdraw", EPISODE, "fr")(farm)
    assert seen == [[2, 1, 1], [2, 2, 1], [2, 2, 2]]


def settled(ref: Ref) -> Ref:
    """Whenever it was flipped."""
    return replace(ref, flipped_at=None)


def whole(objects: dict[str, bytes], generation: int) -> bool:
    """Whether all entry points are there, of that generation."""
    found = [generation_of(body) for key, body in objects.items() if key.startswith(entry_points(EPISODE))]
    return found == [generation] * 3
