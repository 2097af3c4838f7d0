"""
The ETA that a run shows, against when it really ended: ten runs of different sizes, judged from halfway on.

    python -m benchmarks.eta [--runs 10] [--quick] [--json]

The error of a moment is how far the predicted end was from the real one, as a share of the whole run's time. Of every
run the moments from its middle to its end count; the bar is on their 90th percentile over all runs. There is no peer.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from pydantic import SecretStr

from benchmarks.bars import Bar, Results, parser, say
from scripts.avant.progress import loads_of
from scripts.synthesise import synthesise
from workers import production, services
from workers.eta import seconds_left
from workers.farm import open_farm
from workers.ledger import Overview
from workers.settings import Settings
from workers.submission import read_order
from workers.supervisor import Supervisor

LIMIT = 0.25
#: Seconds and size of the episodes, in turn.
EPISODES = ((60, (1280, 720)), (90, (960, 540)), (240, (640, 360)), (40, (1920, 1080)), (150, (960, 540)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was said when, and when it ended; in seconds from the beginning."""

    said: tuple[tuple[float, float], ...]
    took: float

    @property
    def errors(self) -> list[float]:
        """Of every moment from halfway on."""
        return [abs(at + left - self.took) / self.took for at, left in self.said if at >= self.took / 2]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=10)
    asked = options.parse_args()
    results = Results(title="eta")
    runs = []
    with tempfile.TemporaryDirectory(prefix="avant-bench-") as name, services.lock(Path(name) / "services"):
        folder = Path(name)
        secrets = services.secrets(folder / "services")
        with services.services(folder / "services", secrets) as up:
            outside = {
                "s3_endpoint": up.store.address if up.store else "",
                "s3_access_key": secrets.access_key,
                "s3_secret_key": SecretStr(secrets.secret_key),
                "broker_url": up.broker.address if up.broker else "",
            }
            for number in range(asked.runs):
                runs.append(timed(folder / str(number), number, outside))
                worst = max(runs[-1].errors)
                say(
                    f"run {number + 1} of {asked.runs}: {runs[-1].took:.1f} s, at worst {worst:.0%} off from halfway on"
                )
    errors = sorted(error for run in runs for error in run.errors)
    p90 = quantiles(errors, n=10)[8]
    results.bars.append(
        Bar(name="eta: p90 error from halfway on", measured=round(p90, 4), limit=LIMIT, holds=p90 <= LIMIT)
    )
    results.extra.update(
        {"runs": len(runs), "moments": len(errors), "median error": round(quantiles(errors, n=2)[0], 4)}
    )
    results.report(as_json=asked.json)


def timed(folder: Path, number: int, outside: dict[str, object]) -> Run:
    """One episode that nothing is known of yet, from its submission to the end of its work."""
    seconds, size = EPISODES[number % len(EPISODES)]
    document = synthesise(folder / "delivery", seconds=seconds, size=size)
    settings = Settings(home=folder / "home", naming_key=SecretStr(os.urandom(16).hex()), **outside)  # type: ignore[arg-type]  # typed above
    said: list[tuple[float, float]] = []
    with open_farm(settings) as farm, production.crewed(farm, None) as crew:
        plan = production.plan_of(read_order(document, settings), farm)
        production.submit(read_order(document, settings), plan, farm)
        began = time.monotonic()

        def tick(overview: Overview, supervisor: Supervisor) -> None:
            left = seconds_left(loads_of(overview), [slot.lanes for slot in supervisor.slots])
            said.append((time.monotonic() - began, left))

        production.work(plan, farm, crew, tick)
    return Run(said=tuple(said), took=said[-1][0])


if __name__ == "__main__":
    main()
