"""What every benchmark says at its end: figures with their spread, and which bars hold."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity, measured in several interleaved rounds on both sides."""

    name: str
    unit: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    peer_name: str

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over the peer's, round by round: what made one round slow made both sides slow."""
        return tuple(a / b for a, b in zip(self.ours, self.peer, strict=True))

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.peer)

    @property
    def spread(self) -> float:
        """Half the distance between the extreme ratios."""
        return (max(self.ratios) - min(self.ratios)) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A limit, and whether what was measured stays under it by more than the spread."""

    name: str
    measured: float
    limit: float
    holds: bool


def under(figure: Figure, limit: float) -> Bar:
    """The bar that `figure`'s ratio is at most `limit`: it holds only if the spread is smaller than the margin."""
    margin = limit - figure.ratio
    return Bar(name=figure.name, measured=round(figure.ratio, 4), limit=limit, holds=margin >= figure.spread)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one object on stdout")
    made.add_argument("--quick", action="store_true", help="end within ten minutes")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a benchmark gathers, and at its end says."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    #: Whatever else is worth knowing.
    extra: dict[str, Any] = field(default_factory=dict)

    def report(self, *, as_json: bool) -> None:
        """One JSON object, or a table."""
        if as_json:
            figures = [{**asdict(f), "ratio": f.ratio, "ratios": f.ratios, "spread": f.spread} for f in self.figures]
            told = {"benchmark": self.title, "figures": figures, "bars": [asdict(b) for b in self.bars], **self.extra}
            sys.stdout.write(json.dumps(told, indent=2) + "\n")
            return
        print(self.title)
        print(f"{'figure':34} {'ours':>12} {'peer':>12} {'ratio':>7} {'spread':>7}  peer")
        for f in self.figures:
            sides = f"{median(f.ours):>9.2f} {f.unit:2} {median(f.peer):>9.2f} {f.unit:2}"
            print(f"{f.name:34} {sides} {f.ratio:>7.3f} {f.spread:>7.3f}  {f.peer_name}")
        for name, value in self.extra.items():
            print(f"{name}: {value}")
        for bar in self.bars:
            print(f"{'holds' if bar.holds else 'MISSED'}: {bar.name} {bar.measured:.3f} (limit {bar.limit})")


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)
