"""
How loud a programme is, and the one gain that makes it as loud as it should be (EBU R 128, ITU-R BS.1770).
"""

import re
from dataclasses import dataclass

from pipelines.errors import ToolError
from presets.audio import Loudness

#: LUFS of the absolute gate (BS.1770): below it nothing is measured.
SILENCE = -70.0
FLOAT = r"(-?\d+\.\d+|-?inf|nan)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What ffmpeg's `ebur128` says of a whole programme."""

    #: Integrated, in LUFS.
    loudness: float
    #: The highest true peak of any channel, in dBTP; `-inf` for digital silence.
    true_peak: float

    @property
    def silent(self) -> bool:
        return not self.loudness > SILENCE


def parse(text: str) -> Measured:
    """The summary that `ebur128` logs at the end. Raises `ToolError` if there is none."""
    loudness = re.search(rf"\bI:\s+{FLOAT} LUFS", text)
    peak = re.search(rf"\bPeak:\s+{FLOAT} dBFS", text)
    if not loudness or not peak:
        raise ToolError("ffmpeg's loudness meter gave no summary.", tail=text)
    return Measured(loudness=float(loudness[1]), true_peak=float(peak[1]))


def gain(measured: Measured, wanted: Loudness) -> float:
    """
    The gain in dB that brings `measured` to the target, or as near as the peak limit lets it.

    Silence stays silence: nothing is amplified that can't be measured.
    """
    if measured.silent:
        return 0.0
    return min(wanted.target - measured.loudness, wanted.true_peak - measured.true_peak)
