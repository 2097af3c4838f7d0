"""
One channel layout to another, as the explicit matrix that ffmpeg's `pan` takes.

ffmpeg's own downmix depends on options and versions, and drops or doubles channels without a word. Coefficients are
those of ITU-R BS.775: centre and surrounds at −3 dB, no LFE. The whole matrix is scaled so that no input can clip;
the loudness gain that follows makes up for it.
"""

from collections.abc import Mapping

from pipelines.errors import DeliveryError
from presets.audio import Layout

#: 1/√2: −3 dB.
HALF_POWER = 0.7071

#: The channels of the layouts that deliveries may have, by ffmpeg's names and in its order.
CHANNELS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "5.1(side)": ("FL", "FR", "FC", "LFE", "SL", "SR"),
}

Row = Mapping[str, float]

#: What each output channel takes of each input channel that is there.
STEREO: tuple[Row, ...] = (
    {"FL": 1, "FC": HALF_POWER, "BL": HALF_POWER, "SL": HALF_POWER},
    {"FR": 1, "FC": HALF_POWER, "BR": HALF_POWER, "SR": HALF_POWER},
)
#: A single channel comes from both sides as it is: with the centre's −3 dB it would only be quieter.
DUAL_MONO: tuple[Row, ...] = ({"FC": 1}, {"FC": 1})
SURROUND: tuple[Row, ...] = (
    {"FL": 1},
    {"FR": 1},
    {"FC": 1},
    {"LFE": 1},
    {"BL": 1, "SL": 1},
    {"BR": 1, "SR": 1},
)


def pan(source: str, target: Layout) -> str:
    """The argument of `pan` that makes the layout `target` from `source`. Raises `DeliveryError` for an unknown one."""
    if source not in CHANNELS:
        raise DeliveryError(
            f"The channel layout `{source}` is not known.", hint=f"Deliver one of {', '.join(CHANNELS)}."
        )
    rows = _rows(source, target)
    scale = 1 / max(1.0, *(sum(row.values()) for row in rows))
    terms = [
        f"c{out}=" + "+".join(f"{scale * share:.6f}*c{CHANNELS[source].index(name)}" for name, share in row.items())
        for out, row in enumerate(rows)
    ]
    return "|".join([target, *terms])


def _rows(source: str, target: Layout) -> list[dict[str, float]]:
    wanted = SURROUND if target == "5.1" else DUAL_MONO if source == "mono" else STEREO
    return [{name: share for name, share in row.items() if name in CHANNELS[source]} for row in wanted]
