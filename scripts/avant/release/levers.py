"""`avant release rollback`, `withdraw`, `restore`, `cap`, `uncap`: what new sessions get. Running ones play on."""

import re
from typing import Annotated, Any

import typer

from pipelines.release import Ref
from scripts.avant import console
from scripts.avant.console import clock_time, say
from scripts.avant.release.asking import Asked, asks
from scripts.avant.release.showing import offer_told, print_offers
from scripts.avant.retry import Episode
from workers import night
from workers.clock import publish
from workers.farm import Farm
from workers.night import SEEN_WITHIN, Lever, Turn

Language = Annotated[str, typer.Argument(metavar="LANG", help="A BCP 47 tag: fr, pt-BR.")]

#: What a cap may be written as, and what its unit is worth.
LIMIT = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(p|k|M)")
BITS = {"k": 1_000, "M": 1_000_000}


@asks
def rollback(
    episode: Episode,
    *,
    asked: Asked,
) -> None:
    """Give new sessions the version that viewers had before, and hold what is armed."""
    _pull(episode, night.rollback, asked)


@asks
def withdraw(
    episode: Episode,
    language: Language,
    *,
    asked: Asked,
) -> None:
    """Offer new sessions no sound, nor forced text, in a language."""
    _pull(episode, night.withdraw(language), asked)


@asks
def restore(
    episode: Episode,
    language: Language,
    *,
    asked: Asked,
) -> None:
    """Offer new sessions a withdrawn language again."""
    _pull(episode, night.restore(language), asked)


@asks
def cap(
    episode: Episode,
    limit: Annotated[str, typer.Argument(metavar="HEIGHT|BITRATE", help="720p, 3.5M or 3500k.")],
    *,
    asked: Asked,
) -> None:
    """Offer new sessions no rung above a height, or above a bitrate at its peak. The lowest rung always stays."""
    height, bitrate = read_limit(limit)
    _pull(episode, night.cap(height=height, bitrate=bitrate), asked)


@asks
def uncap(
    episode: Episode,
    *,
    asked: Asked,
) -> None:
    """Offer new sessions all rungs again."""
    _pull(episode, night.uncap(), asked)


def read_limit(text: str) -> tuple[int | None, int | None]:
    """Pixels of height, or bits per second. Raises `BadParameter` for what is neither."""
    found = LIMIT.fullmatch(text)
    number = float(found[1]) if found else 0.0
    if not found or not number or (found[2] == "p" and not number.is_integer()):
        raise typer.BadParameter("write it as 720p, 3.5M or 3500k")
    return (int(number), None) if found[2] == "p" else (None, round(number * BITS[found[2]]))


def _pull(episode: str, lever: Lever, asked: Asked) -> None:
    """Look, show, ask, do, say when it is seen."""
    with night.open_night(asked.settings) as farm:
        ref = night.released(farm, episode)
        # Repeated because it was cut off, it must not go back twice; what others do twice is the same.
        if asked.action == "rollback" and night.behind(farm, ref):
            return _finish(farm, ref, asked)
        turn = lever(farm, ref)
        if not asked.as_json:
            _show(turn, asked)
        if asked.dry_run:
            return _tell_programs(turn, asked, None)
        if not turn.idle:
            asked.confirm(f"{asked.action} {episode}?")
        done = night.pull(farm, turn, asked.by)
        seen = farm.ledger.now() + SEEN_WITHIN
    if not asked.as_json and not turn.idle:
        say(
            f"{episode}: generation {done.generation}, written; new sessions see it by {clock_time(seen)}, "
            f"within {SEEN_WITHIN.seconds} s. Running ones play on."
        )
    return _tell_programs(turn, asked, seen.isoformat())


def _show(turn: Turn, asked: Asked) -> None:
    episode, generation = turn.before.episode, turn.before.generation
    if turn.idle:
        say(f"{episode}: that is so already, as of generation {generation}; nothing is changed.")
        return
    print_offers(f"{episode}: {asked.action}, generation {generation} to {turn.after.generation}", turn.had, turn.gets)
    for line in turn.changes or ("Nothing changes for viewers now.",):
        console.data.print(line, markup=False)
    if turn.holds:
        say(f"What is armed of {episode} will be held: `avant release go {episode}` lets it go.")


def _finish(farm: Farm, ref: Ref, asked: Asked) -> None:
    """Have viewers get what somebody else decided, and say whose doing that was."""
    if not asked.dry_run:
        publish(farm, ref)
    last = [night.told(act, farm.ledger.now()) for act in farm.ledger.acts(ref.episode, limit=1)]
    if asked.as_json:
        told = {"episode": ref.episode, "action": "finish", "dry_run": asked.dry_run, "generation": ref.generation}
        console.print_json({**told, "last": "".join(last)})
        return
    say(f"{ref.episode}: generation {ref.generation} had not reached viewers ({''.join(last)}).")
    say("That would be ended, and nothing else." if asked.dry_run else "It has now; nothing else was changed.")


def _tell_programs(turn: Turn, asked: Asked, seen_by: str | None) -> None:
    if not asked.as_json:
        return
    told: dict[str, Any] = {
        "episode": turn.before.episode,
        "action": asked.action,
        "dry_run": asked.dry_run,
        "before": {"generation": turn.before.generation, **offer_told(turn.had)},
        "after": {"generation": turn.after.generation, **offer_told(turn.gets)},
        "changes": list(turn.changes),
        "holds": turn.holds,
        "seen_by": seen_by,
    }
    console.print_json(told)
