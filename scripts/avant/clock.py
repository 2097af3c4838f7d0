"""`avant clock`: the farm's releases, each at its time. Any number of hosts may run one."""

import select
import signal
from functools import partial

from workers import observability
from workers.canary import Canary
from workers.clock import Clock
from workers.farm import open_farm
from workers.settings import Settings
from workers.slot import heard
from workers.submission import read_edges
from workers.watch import Watch


def clock() -> None:
    """Release what is armed at its time, and say hours before what is in danger. Until SIGTERM."""
    asked = heard(signal.SIGTERM)
    settings = Settings()
    with open_farm(settings) as farm:
        observability.configure(settings)  # a service logs to whoever started it
        farm.wait()
        ticking = Clock(farm, shown=Canary(farm, partial(read_edges, settings.edges)).told)
        with Watch(farm):
            while not select.select([asked], [], [], ticking.tick())[0]:
                farm.check()
