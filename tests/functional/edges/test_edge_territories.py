"""Entry points of a territory, through both servers."""

from pipelines import layout
from tests.fakes.edges import Stage
from tests.fakes.sites import Ask


def test_a_territorys_entry_points_are_entry_points(stage: Stage, ask: Ask) -> None:
    """Given to anyone, and of this second: what they say changes at T, and when it is over."""
    path = f"/e/{stage.name}/FR/main.m3u8"
    stage.says(path, b"not yet", layout.NOT_YET)
    assert ask("GET", stage.edge.url + path).data == b"not yet"
    stage.says(path, b"released", layout.RELEASED)
    answer = ask("GET", stage.edge.url + path)
    while answer.data == b"not yet":
        answer = ask("GET", stage.edge.url + path)
    assert (answer.status, answer.data) == (200, b"released")
    assert stage.origin.asked["/bucket" + path] <= 4


def test_nothing_else_stands_so_deep(stage: Stage, ask: Ask) -> None:
    """The origin is not asked for what is no territory."""
    for path in (f"/e/{stage.name}/fr/main.m3u8", f"/e/{stage.name}/FRA/main.m3u8", f"/e/{stage.name}/FR/FR/main.mpd"):
        assert ask("GET", stage.edge.url + path).status == 404
        assert stage.origin.asked["/bucket" + path] == 0
