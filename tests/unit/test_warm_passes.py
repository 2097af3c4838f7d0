"""What opens media at an edge, while it is warmed."""

from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from pipelines.tokens import Tokens
from pipelines.warm import Edge
from pipelines.warm.passes import LIFE, Signed, passes

KEY = "a-key-of-sixteen-letters"
PARIS = Edge(name="paris", url="http://edge:8080")


def ends(prefix: str) -> int:
    return int(prefix.split("~")[1])


def test_a_run_outlives_its_tokens() -> None:
    """Whenever a request is made, its token is good for five minutes, and for less than ten."""
    hour = range(1_792_897_000, 1_792_900_600, 7)
    clock = iter(hour)
    signed = Signed(tokens=Tokens(key=KEY), now=lambda: float(next(clock)))
    made = [signed.prefix(0) for _ in hour]
    left = [ends(prefix) - now for prefix, now in zip(made, hour, strict=True)]
    assert LIFE < min(left) < max(left) <= 2 * LIFE
    assert len(set(made)) == 3600 // LIFE + 1


def test_two_viewers_have_two_tokens() -> None:
    """Of the same holder, who is no episode: what viewers of one may ask is not used up."""
    signed = Signed(tokens=Tokens(key=KEY), now=lambda: 1_792_897_000.0)
    one, two = (signed.prefix(viewer) for viewer in range(signed.viewers))
    assert one != two
    assert one.startswith("k/avant-warming~")
    assert two.startswith("k/avant-warming~")


def test_an_edge_without_tokens_has_one_viewer() -> None:
    """Nothing stands before its keys."""
    open_ = passes(PARIS)
    assert (open_.viewers, open_.prefix(0)) == (1, "")


def test_a_key_may_be_one_of_systemds_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name alone stands in the folder that systemd made for the service; a path is a path."""
    (tmp_path / "avant_token_key").write_text(KEY + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = passes(PARIS.model_copy(update={"token_key": Path("avant_token_key")}))
    assert found == Signed(tokens=Tokens(key=KEY))
    with pytest.raises(ConfigurationError, match="nowhere/avant_token_key can't be read"):
        passes(PARIS.model_copy(update={"token_key": Path("/nowhere/avant_token_key")}))
