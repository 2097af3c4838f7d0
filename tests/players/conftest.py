"""One programme and one browser for all the tests of this folder."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import edge
from tests.players.programme import Programme, released
from tests.players.theatre import Page, Stage, Theatre, serving

if TYPE_CHECKING:  # where it is not installed, these tests are still collected, to say so
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")
PARTS = {
    "nginx": shutil.which("nginx", path=edge.PATH),
    "chromium": CHROMIUM,
    "playwright (Python)": find_spec("playwright"),
    "the players (npm)": (Path(__file__).parent / "node_modules").is_dir(),
}

FLAGS = (
    "--no-sandbox",  # its own does not work for root
    "--disable-gpu",  # there is none
    "--no-first-run",
    "--disable-background-networking",  # it has no business on the network
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",  # nobody is there to click
    "--mute-audio",  # what is analysed is heard before this
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    They play in real time, and on a machine that is busy with other work players may forget to end
    (docs/decisions/0005): they run with `--long`, not before every landing.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.long)


# Of the package, not the session: while Playwright runs, its event loop is the main thread's.
@pytest.fixture(scope="package")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programme]:
    """Where a part is missing, a laptop skips, and CI fails."""
    if missing := [name for name, found in PARTS.items() if not found]:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell(f"not installed: {', '.join(missing)} (scripts/setup --players)")
    with released(tmp_path_factory.mktemp("programme")) as programme:
        yield programme


@pytest.fixture(scope="package")
def browser(programme: Programme) -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        yield browser


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """Where the page of the players is."""
    with serving() as address:
        yield address


@pytest.fixture(scope="package")
def theatre(browser: "Browser", address: str, programme: Programme) -> Theatre:
    @contextmanager
    def page() -> Iterator[Page]:
        with browser.new_context() as context:  # nothing cached
            yield context.new_page()

    return Theatre(open_page=page, url=address, manifests=programme.manifests)


@pytest.fixture
def open_stage(theatre: Theatre) -> Iterator[Callable[..., Stage]]:
    """Opens stages, `open_stage(way, buffer=60)`, and closes them after the test."""
    with ExitStack() as stack:
        yield lambda way, **options: stack.enter_context(theatre.stage(way, **options))
