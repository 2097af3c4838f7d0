"""One screen that answers whether a release will be in time; the same for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from scripts.avant import fleet
from scripts.avant.console import clock_time, data, duration, print_table
from workers.degrade import Remedy, chosen
from workers.ledger import Act
from workers.readiness import Going, Known, Outlook, Part, Readiness

#: Before so long, seconds are told; after it, minutes.
SOON = timedelta(hours=1)
#: What is so far from T has its date with it.
SAME_NIGHT = timedelta(hours=12)
#: So many of the last acts are shown.
ACTS = 5
#: So many names are listed; of more, the number.
LISTED = 4
CLASSES = {"must": "MUST", "should": "SHOULD", "later": "LATER"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is shown."""

    known: Known
    found: Readiness
    #: What may be given up, and what that gains; empty when nothing needs to be.
    remedies: tuple[Remedy, ...]
    #: What is not so, but is asked about.
    supposing: tuple[str, ...]
    #: The last first.
    acts: tuple[Act, ...]
    #: Of the release.
    zone: ZoneInfo

    def time(self, instant: datetime | None) -> str:
        """`02:31`, `02:31:07` when it is near, `28 Nov 12:10` when it is another night than T's."""
        if instant is None:
            return ""
        now = self.known.overview.now
        near = abs(instant - now) < SOON
        # Rounded up: what is ready a moment after 03:00 must not look as if it were in time.
        shown = instant if near else instant + timedelta(minutes=1, microseconds=-1)
        local = shown.astimezone(self.zone)
        date = "" if abs(instant - (self.known.at or now)) < SAME_NIGHT else f"{local:%d %b} "
        return date + (f"{local:%H:%M:%S}" if near else f"{local:%H:%M}")


def answer(screen: Screen) -> str:
    """Yes or no, in a sentence."""
    known, least = screen.known, screen.found.least
    if known.overview.cancelled_at and not least.released:
        return "NO: it was cancelled. Submitted again, it goes on from what is there."
    if known.release is None and not least.released:
        return "NO: nothing is armed. Submit the episode, which arms it."
    if known.release and known.release.held:
        return f"NO, it is HELD: `avant release go {known.overview.plan.episode}`. Else: {_forecast(screen)}"
    return _forecast(screen)


def _forecast(screen: Screen) -> str:
    least, outlook = screen.found.least, screen.found.least.outlook
    if least.released:
        return f"YES, released since {screen.time(screen.known.ref.flipped_at)}{_rest(screen)}."
    late = duration(-(outlook.slack or 0))
    match outlook.state:
        case "ready":
            return f"YES, ready{_rest(screen)}."
        case "in time" | "coming":
            spare = f", with {duration(outlook.slack)} to spare" if outlook.slack is not None else ""
            return f"YES, {_when(screen, outlook)}{spare}{_rest(screen)}."
        case "at risk":
            return f"PERHAPS NOT: {_when(screen, outlook)}, {late} late.{_advice(screen)}"
        case "late":
            return f"NO: {_when(screen, outlook)}, {late} late.{_advice(screen)}"
        case "never":
            return f"NO, not without somebody: {'; '.join(outlook.why) or 'nothing makes it'}.{_advice(screen)}"


def _rest(screen: Screen) -> str:
    """What becomes of that which the release does not wait for."""
    going, at = screen.found.editions[-1], screen.known.at
    if going.released:
        return "; viewers have all of it"
    if going.outlook.state == "ready" or (going.outlook.p95 and at and going.outlook.p95 <= at):
        return ", with all of it" if len(screen.found.editions) > 1 else ""
    if len(screen.found.editions) == 1:
        return ""
    if going.outlook.state == "never":
        return f"; the rest does not follow: {'; '.join(going.outlook.why)}"
    return f"; the rest follows, {_when(screen, going.outlook)}"


def _advice(screen: Screen) -> str:
    remedy = chosen(screen.remedies)
    if remedy is None:
        declared = screen.known.overview.plan.fallbacks
        return " Nothing that is declared to be given up would help." if declared else " No fallback is declared."
    names = " and ".join(f"`{name}`" for name in remedy.names)
    return f" Give up {names}: {_when(screen, remedy.outlook)}{_gain(remedy)}."


def _gain(remedy: Remedy) -> str:
    gained = f", {duration(remedy.gains)} earlier" if remedy.gains else ""
    return f"{gained}, in time" if remedy.outlook.safe else f"{gained}, still late"


def _when(screen: Screen, outlook: Outlook) -> str:
    if outlook.state == "ready":
        return "ready now"
    if outlook.p50 is None:
        return "never without somebody"
    return f"at {screen.time(outlook.p50)} likely, {screen.time(outlook.p95)} at the latest"


def print_screen(screen: Screen) -> None:
    """For people."""
    if screen.supposing:
        data.print(f"SUPPOSED, not so: {'; '.join(screen.supposing)}.", markup=False)
    data.print(answer(screen), markup=False)
    for line in _head(screen):
        data.print(line, markup=False)
    data.print()
    print_table(
        ("edition", "tracks>", "verified", "warm>", "state", "likely>", "at the latest>", "slack>", "in the way"),
        (_edition(screen, going) for going in screen.found.editions),
    )
    data.print()
    print_table(
        ("part", "class", "made>", "state", "likely>", "at the latest>", "slack>", "in the way"),
        (_part(screen, part) for part in sorted(screen.found.parts, key=_pressing)),
    )
    for line in _foot(screen):
        data.print(line, markup=False)


def _pressing(part: Part) -> tuple[bool, float]:
    """What is in the way first, what is ready last."""
    slack = float("-inf") if part.outlook.state == "never" else part.outlook.slack
    return part.outlook.state == "ready", 0.0 if slack is None else slack


def _head(screen: Screen) -> Iterator[str]:
    known, plan = screen.known, screen.known.overview.plan
    if known.release and known.at:
        utc = f"{known.at:%H:%M:%S} UTC" if known.at.date() == _date(known.release.wall) else clock_time(known.at)
        left = _distance(known.at, known.overview.now)
        yield f"{plan.episode}, {plan.title}: T is {known.release.wall} = {utc}, {left}"
    else:
        soon = ": released as soon as it is whole" if known.release else ""
        yield f"{plan.episode}, {plan.title}{soon}"
    yield f"{_armed(screen)}; now it is {screen.time(known.overview.now)}; viewers get {_viewers(screen)}"


def _armed(screen: Screen) -> str:
    release = screen.known.release
    if release is None:
        return "Nothing is armed"
    doing = "hold" if release.held else "arm"
    act = next((act for act in screen.acts if act.by.action == doing), None)
    whose = f"by {act.by.who}, {screen.time(act.at)}" if act else "by its submission"
    return f"Held {whose}" if release.held else f"Armed {whose}; not held"


def _viewers(screen: Screen) -> str:
    ref = screen.known.ref
    if ref.state == "not-yet":
        return "nothing yet"
    offer = [
        *([f"ended in {', '.join(code or 'other territories' for code in ref.ended)}"] if ref.ended else []),
        *(f"{tag} withdrawn" for tag in ref.trim.withdrawn),
        *([f"capped at {ref.trim.max_height}p"] if ref.trim.max_height else []),
        *([f"capped at {ref.trim.max_bitrate} b/s"] if ref.trim.max_bitrate else []),
    ]
    less = f", {', '.join(offer)}" if offer else ", nothing withdrawn or capped"
    return f"generation {ref.generation}{less}"


def _edition(screen: Screen, going: Going) -> Sequence[str]:
    made = screen.known.overview.made
    cold = [edge for edge, warm in going.warm.items() if not warm]
    way = [*going.outlook.why, *([f"cold: {_listed(cold)}"] if cold else [])]
    return (
        _edition_name(going),
        f"{len(made.intersection(going.edition.tracks))} of {len(going.edition.tracks)}",
        "yes" if going.verified else "no",
        f"{len(going.warm) - len(cold)} of {len(going.warm)}",
        "released" if going.released else going.outlook.state,
        *_times(screen, going.outlook),
        "" if going.released else "; ".join(way),
    )


def _part(screen: Screen, part: Part) -> Sequence[str]:
    missing = [track.label for track in part.tracks if track.digest not in part.made]
    return (
        part.name,
        CLASSES[part.urgency],
        f"{len(part.made)} of {len(part.tracks)}",
        "made" if len(missing) == 0 and part.outlook.state not in ("ready", "never") else part.outlook.state,
        *_times(screen, part.outlook),
        "; ".join([*part.outlook.why, *([_listed(missing)] if missing else [])]),
    )


def _times(screen: Screen, outlook: Outlook) -> tuple[str, str, str]:
    slack = "" if outlook.slack is None else fleet.early(outlook.slack)
    return screen.time(outlook.p50), screen.time(outlook.p95), slack


def _foot(screen: Screen) -> Iterator[str]:
    plan = screen.known.overview.plan
    if plan.given_up:
        yield f"\nGiven up: {', '.join(plan.given_up)}; it follows."
    helping = [remedy for remedy in screen.remedies if remedy.helps]
    if helping:
        yield f"\nWhat may be given up, and follows then: avant release drop {plan.episode} NAME"
    for remedy in helping:
        drops = ", ".join(selector for fallback in remedy.drop for selector in fallback.drop)
        yield f"  {' + '.join(remedy.names)} ({drops}): {_when(screen, remedy.outlook)}{_gain(remedy)}"
    if screen.acts:
        yield "\nDone last:"
    for act in screen.acts[:ACTS]:
        why = f": {act.by.why}" if act.by.why else ""
        yield f"  {screen.time(act.at)} {act.by.who} {act.by.action}{why}"


def _edition_name(going: Going) -> str:
    return {"must": "least", "should": "with should", "later": "with later"}[going.edition.urgency]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _date(wall: str) -> Any:
    return datetime.fromisoformat(wall.rpartition(" ")[0]).date()


def _distance(at: datetime, now: datetime) -> str:
    left = (at - now).total_seconds()
    return f"in {duration(left)}" if left >= 0 else f"{duration(-left)} ago"


def told(screen: Screen) -> dict[str, Any]:
    """For programs."""
    known, found = screen.known, screen.found
    remedy = chosen(screen.remedies)
    return {
        "episode": known.overview.plan.episode,
        "answer": answer(screen),
        "supposed": list(screen.supposing),
        "in_time": found.least.released or found.least.outlook.safe,
        "now": known.overview.now.isoformat(),
        "at": known.at.isoformat() if known.at else None,
        "wall": known.release.wall if known.release else None,
        "armed": known.release is not None,
        "held": known.release is not None and known.release.held,
        "viewers": {
            "state": known.ref.state,
            "generation": known.ref.generation,
            "ended": list(known.ref.ended),
            "withdrawn": list(known.ref.trim.withdrawn),
            "max_height": known.ref.trim.max_height,
            "max_bitrate": known.ref.trim.max_bitrate,
        },
        "editions": [_going_told(going) for going in found.editions],
        "parts": [_part_told(part) for part in found.parts],
        "given_up": list(known.overview.plan.given_up),
        "offered": list(remedy.names) if remedy else [],
        "fallbacks": [_remedy_told(each) for each in screen.remedies],
        "acts": [
            {"at": act.at.isoformat(), "who": act.by.who, "action": act.by.action, "why": act.by.why}
            for act in screen.acts[:ACTS]
        ],
    }


def _going_told(going: Going) -> dict[str, Any]:
    return {
        "class": going.edition.urgency,
        "version": going.edition.version,
        "released": going.released,
        "verified": going.verified,
        "warm": dict(going.warm),
        "failed": dict(going.failed),
        **_outlook_told(going.outlook),
    }


def _part_told(part: Part) -> dict[str, Any]:
    return {
        "part": part.name,
        "kind": part.kind,
        "class": part.urgency,
        "tracks": [
            {"track": track.name, "made": track.digest in part.made, **_outlook_told(outlook)}
            for track, outlook in zip(part.tracks, part.each, strict=True)
        ],
        **_outlook_told(part.outlook),
    }


def _remedy_told(remedy: Remedy) -> dict[str, Any]:
    return {
        "drop": list(remedy.names),
        "automatic": remedy.automatic,
        "gains_s": None if remedy.gains is None else round(remedy.gains, 1),
        **_outlook_told(remedy.outlook),
    }


def _outlook_told(outlook: Outlook) -> dict[str, Any]:
    return {
        "state": outlook.state,
        "p50": outlook.p50.astimezone(UTC).isoformat() if outlook.p50 else None,
        "p95": outlook.p95.astimezone(UTC).isoformat() if outlook.p95 else None,
        "slack_s": None if outlook.slack is None else round(outlook.slack, 1),
        "why": list(outlook.why),
    }
