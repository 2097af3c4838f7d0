"""A run like `avant run`, of an episode whose steps are make-believe, with the services that the environment names."""

from tests.fakes.farm import plan, step, until
from workers.lanes import mix
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.supervisor import Supervisor


def run() -> None:
    """Make the episode, or the rest of it."""
    settings = Settings()
    chunks = [step(f"chunk-{n}", does="work 0.4") for n in range(8)]
    tracks = [step(f"track-{n}", lane="package", needs=chunks[n : n + 4], does="work 0.2") for n in range(4)]
    ledger = open_ledger(settings.ledger_address)
    ledger.submit(plan("e", [*chunks, *tracks]), deadline=None)
    with Supervisor(settings, ledger, slots=mix(2), module="tests.fakes.slot") as crew:
        crew.wake()
        until(lambda: bool((view := ledger.overview("e")) and view.ready), meanwhile=crew.poll)


if __name__ == "__main__":
    run()
