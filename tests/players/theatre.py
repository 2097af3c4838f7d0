"""Pages of a browser, with one player each. What a page does is in page/stage.js."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal, Protocol

from tests.players.programme import RATE

HERE = Path(__file__).parent

#: Seconds for anything that takes less than one on an idle machine.
PATIENCE = 20.0

Ranges = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A player, and what it is given."""

    player: Literal["hls.js", "shaka", "dash.js", "native"]
    format: Literal["hls", "dash"]

    def __str__(self) -> str:
        return f"{self.player}-{self.format}"


PLAYERS = (
    Way(player="hls.js", format="hls"),
    Way(player="shaka", format="hls"),
    Way(player="shaka", format="dash"),
    Way(player="dash.js", format="dash"),
)
NATIVE = Way(player="native", format="hls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The picture stood still. Both in seconds."""

    at: float
    #: What was buffered from there on.
    ahead: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a player has to say for itself."""

    ended: bool
    #: `ended` once the player has said that nothing follows; none where the browser plays of itself.
    source: Literal["open", "ended", "closed"] | None
    errors: list[str]
    waits: list[Wait]
    #: The buffered ranges whenever there was more than one.
    gaps: list[Ranges]
    #: Seconds.
    duration: float
    #: Decoded.
    frames: int
    buffered: Ranges
    #: Of sound and of picture alone, where the player has source buffers.
    buffers: dict[str, Ranges]


class Page(Protocol):
    """A tab, whichever the browser."""

    def goto(self, url: str) -> object:
        """Return when it has loaded."""

    def evaluate(self, expression: str, arg: object) -> Any:
        """Call the JavaScript function that `expression` is, and return what it returns or promises."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A page with a player that has loaded, and stands at the beginning."""

    page: Page

    def ask(self, words: str, *, patience: float = PATIENCE, **values: object) -> Any:
        """What the JavaScript expression `words` is, with the names of `values` in it; promises are waited for."""
        asked = f"({{patience, {', '.join(values)}}}) => stage.within(patience, ({words}))"
        return self.page.evaluate(asked, {"patience": patience, **values})

    def until(self, words: str, *, patience: float = PATIENCE, **values: object) -> None:
        """Return when the expression is true."""
        self.ask(f"stage.until(() => {words})", patience=patience, **values)

    def start(self) -> None:
        self.ask("stage.video.play()")

    def seek(self, frame: int) -> Any:
        """To the middle of `frame`; what stands there then: `number`, `time` in seconds, `ready` (its readyState)."""
        return self.ask("stage.seek(frame, rate)", frame=frame, rate=RATE)

    def now(self) -> float:
        """Seconds of the programme."""
        return float(self.ask("stage.video.currentTime"))

    def report(self) -> Report:
        said = self.ask("stage.report()")
        return Report(**{**said, "waits": [Wait(**each) for each in said["waits"]]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Theatre:
    """Opens stages: `url` is where page and players are served, `manifests` are addresses by format."""

    open_page: Callable[[], AbstractContextManager[Page]]
    url: str
    manifests: Mapping[str, str]

    @contextmanager
    def stage(self, way: Way, *, buffer: int | None = None) -> Iterator[Stage]:
        """A player that has loaded; `buffer`, in seconds, if it is not to be what its makers thought best."""
        with self.open_page() as page:
            page.goto(f"{self.url}/page/index.html")
            stage = Stage(page)
            stage.ask(
                "stage.load(player, manifest, buffer)",
                player=way.player,
                manifest=self.manifests[way.format],
                buffer=buffer,
            )
            yield stage


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: what a page can't load, the page reports."""


@contextmanager
def serving() -> Iterator[str]:
    """The address of page and players, for as long as the context lasts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(HERE))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="page")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
