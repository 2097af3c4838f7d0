"""Time codes to frame numbers and back, with and without dropped frames (SMPTE ST 12-1)."""

import re
from fractions import Fraction

from pipelines.errors import DeliveryError


def frame_number(time_code: str, frame_rate: Fraction) -> int:
    """
    The frame, counted from 00:00:00:00, that `hh:mm:ss:ff` names; `hh:mm:ss;ff` counts with dropped frames.

    `hh:mm:ss.mmm` is read as milliseconds of real time. Raises `DeliveryError` for a frame that does not exist.
    """
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d)([:;.,])(\d+)", time_code)
    if not match:
        raise DeliveryError(f"`{time_code}` is not a time code.", hint="Write hh:mm:ss:ff.")
    hours, minutes, seconds, rest = (int(match[n]) for n in (1, 2, 3, 5))
    total = (hours * 60 + minutes) * 60 + seconds
    if match[4] in ".," and len(match[5]) == 3:  # noqa: PLR2004 - milliseconds
        return round((total + Fraction(rest, 1000)) * frame_rate)
    base = round(frame_rate)
    if rest >= base:
        raise DeliveryError(
            f"Time code `{time_code}` has frame {rest}, but a second has {base}.",
            hint="Correct the time code.",
        )
    frame = total * base + rest
    if match[4] != ";":
        return frame
    if frame_rate.denominator != 1001 or base % 30:  # noqa: PLR2004 - NTSC rates are over 1001
        raise DeliveryError(
            f"Time code `{time_code}` drops frames, which only 29.97 and 59.94 fps do.",
            hint="Write it with a colon before the frames.",
        )
    dropped = base // 15  # two of thirty, each minute but every tenth
    if rest < dropped and seconds == 0 and minutes % 10:
        raise DeliveryError(f"Time code `{time_code}` is one that is dropped.", hint="Take the next that exists.")
    whole_minutes = hours * 60 + minutes
    return frame - dropped * (whole_minutes - whole_minutes // 10)


def time_code(frame: int, frame_rate: Fraction, *, dropping: bool = False) -> str:
    """The time code of a frame counted from 00:00:00:00; `dropping` only at 29.97 and 59.94 fps."""
    base = round(frame_rate)
    if dropping:
        dropped = base // 15
        tens, rest = divmod(frame, base * 600 - 9 * dropped)
        # The first minute of each ten is whole; the other nine begin with the dropped numbers.
        minutes = max(0, rest - dropped) // (base * 60 - dropped)
        frame += dropped * (9 * tens + minutes)
    seconds, rest = divmod(frame, base)
    separator = ";" if dropping else ":"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{rest:02d}"
