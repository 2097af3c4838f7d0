"""A second yes before anything is changed: from a terminal, or from the command line."""

from io import StringIO

import pytest

from pipelines.errors import ReleaseError
from scripts.avant.release.asking import Asked
from workers.settings import Settings


class Terminal(StringIO):
    """Somebody who types this."""

    def isatty(self) -> bool:
        return True


def asked(*, yes: bool = False, who: str = "", operator: str | None = None) -> Asked:
    settings = Settings(operator=operator)
    return Asked(action="cap", dry_run=False, yes=yes, why="full", who=who, as_json=False, settings=settings)


@pytest.mark.parametrize("answer", ["y\n", "yes\n"])
def test_a_yes_at_the_terminal_is_enough(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked on stderr: stdout is for data."""
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    asked().confirm("Cap e?")
    said = capsys.readouterr()
    assert (said.out, "Cap e?" in said.err) == ("", True)


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_anything_else_changes_nothing(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with pytest.raises(ReleaseError, match="Nothing was changed"):
        asked().confirm("Cap e?")


def test_without_a_terminal_somebody_has_to_have_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    with pytest.raises(ReleaseError, match="Nobody is at a terminal"):
        asked().confirm("Cap e?")
    asked(yes=True).confirm("Cap e?")


def test_who_did_it_is_said_or_set_or_the_user() -> None:
    assert asked(who="ana", operator="on call").by.who == "ana"
    assert asked(operator="on call").by.who == "on call"
    assert asked().by.who
    assert (asked().by.action, asked().by.why) == ("cap", "full")
