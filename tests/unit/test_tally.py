"""Counts that outlive the process that counts."""

from pathlib import Path

from tests.fakes.farm import encode, made, step
from workers.metrics import FAMILIES
from workers.tally import Tally, read, read_all


def total(home: Path, name: str, **labels: str) -> float:
    return read_all(home)[name, tuple(sorted(labels.items()))]


def counts(home: Path) -> Path:
    folder = home / "counts"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_successor_counts_on(tmp_path: Path) -> None:
    """A slot that dies takes nothing with it that was counted."""
    path = counts(tmp_path) / "heavy-1.json"
    for _ in range(3):
        Tally(path).attempt(step("a"), "retried", 1.5, ())
    assert total(tmp_path, "attempts", kind="compose", ending="retried") == 3
    assert total(tmp_path, "busy_seconds", kind="compose") == 4.5


def test_all_processes_of_a_host_count_together(tmp_path: Path) -> None:
    for name in ("heavy-1", "heavy-2"):
        Tally(counts(tmp_path) / f"{name}.json").attempt(step("a"), "done", 1, made(step("a")))
    Tally(counts(tmp_path) / "supervisor.json").lost("died")
    assert total(tmp_path, "attempts", kind="compose", ending="done") == 2
    assert total(tmp_path, "stored_bytes", artifact="version") == 2
    assert total(tmp_path, "leases_lost", how="died") == 1


def test_an_encode_counts_its_frames_by_height(tmp_path: Path) -> None:
    """Once for each height, whatever number of rungs has it; only if it came to an end."""
    tally = Tally(counts(tmp_path) / "heavy-1.json")
    tally.attempt(encode("e", ["a", "b"]), "done", 12.0, ())
    tally.attempt(encode("e", ["a", "b"]), "failed", 99.0, ())
    assert total(tmp_path, "encoded_frames", codec="avc", height="90") == 288
    assert total(tmp_path, "encode_seconds", codec="avc", height="90") == 12


def test_a_damaged_file_begins_anew(tmp_path: Path) -> None:
    """A power cut may leave an empty one; readers of counters know how to go on from zero."""
    path = counts(tmp_path) / "heavy-1.json"
    path.write_text('[["attempts", {"ki')
    assert list(read(path)) == []
    Tally(path).lost("silent")
    assert total(tmp_path, "leases_lost", how="silent") == 1


def test_a_count_that_can_not_be_kept_harms_nothing(tmp_path: Path) -> None:
    """A full disk fails steps, not because of this."""
    Tally(tmp_path / "no" / "such" / "folder.json").lost("died")


def test_everything_counted_is_told(tmp_path: Path) -> None:
    """With exactly the labels that its metric has."""
    tally = Tally(counts(tmp_path) / "heavy-1.json")
    tally.attempt(encode("e", ["a"]), "done", 1.0, made(step("a")))
    tally.lost("died")
    told = {name: {label for label, _ in labels} | {"host"} for name, labels in read_all(tmp_path)}
    assert told == {
        name.removeprefix("avant_"): set(family.labels) for name, family in FAMILIES.items() if family.counts
    }
