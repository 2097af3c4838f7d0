"""A run as a picture: who did what from when to when. SVG, because text in the repository can be compared."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, LEFT, ROW, GAP, TOP = 960, 90, 26, 6, 34
COLOURS = {
    "start": "#b0b0b0",
    "examine": "#7f7f7f",
    "encode": "#4878a8",
    "audio": "#6aa84f",
    "package": "#d08a2e",
    "thumbnails": "#b8679a",
    "compose": "#8e6bbf",
    "verify": "#c0504d",
    "warm": "#c0504d",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One thing that somebody did. Seconds from the beginning of the run."""

    row: str
    kind: str
    label: str
    begin: float
    end: float


def read(path: Path) -> list[Span]:
    """Spans as a run left them, in the order in which they began."""
    return sorted((Span(**span) for span in json.loads(path.read_text())), key=lambda span: (span.row, span.begin))


def svg(spans: Sequence[Span]) -> str:
    """Rows in the order of `spans`, bars by kind; labels where there is room, all of them on hover."""
    rows = list(dict.fromkeys(span.row for span in spans))
    last = max(span.end for span in spans)
    scale = (WIDTH - LEFT - 10) / last
    height = TOP + len(rows) * (ROW + GAP) + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *_axis(last, scale, height),
        *(
            f'<text x="{LEFT - 8}" y="{_top(n) + 17}" text-anchor="end">{escape(row)}</text>'
            for n, row in enumerate(rows)
        ),
        *(_bar(span, rows.index(span.row), scale) for span in spans),
        *_legend({span.kind: None for span in spans}, height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _top(row: int) -> int:
    return TOP + row * (ROW + GAP)


def _axis(last: float, scale: float, height: int) -> list[str]:
    step = next(step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600) if last / step <= 14)
    ticks = []
    for second in range(0, int(last) + 1, step):
        x = LEFT + second * scale
        ticks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 44}" stroke="#dddddd"/>')
        ticks.append(f'<text x="{x:.1f}" y="{TOP - 12}" text-anchor="middle" fill="#555555">{second} s</text>')
    return ticks


def _bar(span: Span, row: int, scale: float) -> str:
    x, width = LEFT + span.begin * scale, max(1.0, (span.end - span.begin) * scale)
    told = f"{span.label}: {span.begin:.1f} to {span.end:.1f} s"
    colour = COLOURS.get(span.kind, "#999999")
    bar = (
        f'<rect x="{x:.1f}" y="{_top(row)}" width="{width:.1f}" height="{ROW}" fill="{colour}" rx="2">'
        f"<title>{escape(told)}</title></rect>"
    )
    if width < 6.5 * len(span.label):
        return bar
    return bar + f'<text x="{x + 6:.1f}" y="{_top(row) + 17}" fill="white">{escape(span.label)}</text>'


def _legend(kinds: dict[str, None], height: int) -> list[str]:
    parts = []
    for n, kind in enumerate(kinds):
        x = LEFT + n * 100
        parts.append(f'<rect x="{x}" y="{height - 28}" width="12" height="12" fill="{COLOURS.get(kind, "#999999")}"/>')
        parts.append(f'<text x="{x + 18}" y="{height - 18}">{kind}</text>')
    return parts
