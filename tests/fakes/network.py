"""Network namespaces of the tests' own: a hub, and hosts on cables to it that can be cut. Needs root; none is left."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from pipelines.errors import HostError, ToolError
from pipelines.tools import process

#: Of the hub; hosts count on from there. Nothing outside the namespaces knows of it.
NETWORK = "10.77.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A hub and its hosts, by the names of their namespaces."""

    hub: str
    hosts: tuple[str, ...]

    @property
    def address(self) -> str:
        """The hub's."""
        return f"{NETWORK}.1"

    def inside(self, namespace: str) -> Sequence[str]:
        """What a command is started through to run there."""
        return ("ip", "netns", "exec", namespace)

    def cut(self, number: int) -> None:
        """Nothing goes to that host or comes from it any more, and nobody is told."""
        _ip("-n", self.hub, "link", "set", f"host{number}", "down")

    def mend(self, number: int) -> None:
        _ip("-n", self.hub, "link", "set", f"host{number}", "up")


def can() -> bool:
    """Whether this machine lets us make namespaces, with bridges and cables in them."""
    if os.getuid() != 0:
        return False
    try:
        with network(1):
            return True
    except (HostError, ToolError):
        return False


@contextmanager
def network(hosts: int) -> Iterator[Network]:
    """So many hosts, for as long as the context lasts."""
    name = f"avant-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        made = Network(hub=f"{name}-hub", hosts=tuple(f"{name}-{number}" for number in range(hosts)))
        for namespace in (made.hub, *made.hosts):
            _ip("netns", "add", namespace)
            stack.callback(_remove, namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", made.hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", made.hub, "address", "add", f"{made.address}/24", "dev", "bridge")
        _ip("-n", made.hub, "link", "set", "bridge", "up")
        for number, host in enumerate(made.hosts):
            cable = f"host{number}"
            _ip("-n", made.hub, "link", "add", cable, "type", "veth", "peer", "name", "hub", "netns", host)
            _ip("-n", made.hub, "link", "set", cable, "master", "bridge")
            _ip("-n", made.hub, "link", "set", cable, "up")
            _ip("-n", host, "address", "add", f"{NETWORK}.{number + 2}/24", "dev", "hub")
            _ip("-n", host, "link", "set", "hub", "up")
        yield made


def _remove(namespace: str) -> None:
    with suppress(ToolError):
        _ip("netns", "delete", namespace)


def _ip(*words: str) -> None:
    process.run(["ip", *words])
