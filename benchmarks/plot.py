"""A plot as SVG, by hand: how many slots are at work, from the beginning to the end."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 1000, 210, 60
INK = "#495057"
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One load. Times are seconds."""

    title: str
    #: (instant, slots at work from then on)
    steps: tuple[tuple[float, int], ...]
    #: Slots there are.
    top: int
    end: float
    #: What no schedule can be shorter than.
    bound: float


def drawn(panels: Sequence[Panel], *, label: str) -> str:
    """The panels, one below the other."""
    height = HEIGHT * len(panels)
    inside = "\n".join(_panel(panel, HEIGHT * number) for number, panel in enumerate(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} '
        f'role="img" aria-label="{label}">\n'
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#fbfaf7"/>\n{inside}\n</svg>\n'
    )


def _panel(panel: Panel, top: int) -> str:
    base, height, width = top + HEIGHT - 38, HEIGHT - 80, WIDTH - 2 * MARGIN
    longest = max(panel.end, panel.bound) * 1.1  # room for what is written at the end

    def x(at: float) -> float:
        return MARGIN + width * at / longest

    def y(slots: int) -> float:
        return base - height * slots / panel.top

    # A pixel holds dozens of changes: one point each is enough, and keeps the file small.
    kept = {round(x(at)): slots for at, slots in panel.steps}
    points = " ".join(f"H{at} V{y(slots):.1f}" for at, slots in kept.items())
    high, right = f"{y(panel.top):.1f}", WIDTH - MARGIN
    return "\n".join(
        [
            f'<text x="{MARGIN}" y="{top + 26}" font-size="15" font-weight="600" fill="{INK}">{panel.title}</text>',
            f'<path d="M{MARGIN} {base} {points} V{base} Z" fill="#74b0a8" stroke="none"/>',
            f'<path d="M{MARGIN} {high} V{base} H{right}" fill="none" stroke="{INK}"/>',
            f'<text x="{MARGIN - 8}" y="{high}" text-anchor="end" font-size="11" fill="{INK}">{panel.top}</text>',
            _mark(x(panel.bound), top, f"bound {panel.bound:.0f} s\u00a0", 'text-anchor="end" fill="#495057"'),
            _mark(x(panel.end), top, f"\u00a0made {panel.end:.0f} s", 'text-anchor="start" fill="#c2410c"'),
        ]
    )


def _mark(x: float, top: int, text: str, look: str) -> str:
    """A dashed line down to the axis, and below that what it is."""
    base = top + HEIGHT - 38
    return (
        f'<path d="M{x:.1f} {top + 38} V{base + 6}" stroke="{INK}" stroke-width="1.4" stroke-dasharray="5 4"/>\n'
        f'<text x="{x:.1f}" y="{base + 22}" font-size="11" {look}>{text}</text>'
    )
