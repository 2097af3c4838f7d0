"""A day on a farm, simulated: the real plans, the real sort key, the real order of claims."""

import random

from benchmarks.scale import Farm, Load, Luck, all_at_once, day, missed, ratio, simulated

#: Processors; and durations spread as the benchmark spreads them, with a seed that is always the same.
FARM = Farm(heavy=24)
SEED = 1


def late(work: Load, farm: Farm = FARM) -> int:
    """How many deadlines of such a day are missed."""
    chance = random.Random(SEED)
    submissions = day(work, farm, chance)
    return len(missed(submissions, simulated(submissions, farm, chance)))


def test_no_deadline_is_missed_when_all_can_be_held() -> None:
    """85 % of what the slots can do, most of it due within hours."""
    assert late(Load(due=0.65, bulk=0.2)) == 0


def test_bulk_makes_no_premiere_late() -> None:
    """120 % of what the slots can do: bulk waits. First come, first served would have missed dozens."""
    overload = Load(due=0.6, bulk=0.6)
    assert late(overload) == 0
    assert late(overload, Farm(heavy=24, urgent=False)) > 30


def test_the_order_itself_wastes_nothing() -> None:
    """If every step took exactly its estimate, a crowd of episodes would be made within 5 % of the lower bound."""
    farm = Farm(heavy=24, luck=Luck(sigma=0.0, stragglers=0.0))
    assert ratio(all_at_once([45, 52, 22, 60] * 2, farm, SEED)) < 1.05
