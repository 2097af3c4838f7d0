"""Deliveries that arrive by themselves: real files, a real object store, a real ledger, watchers killed."""

import json
import os
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from pipelines.errors import HostError
from pipelines.tools import process
from scripts.ingest.folder import Folder
from scripts.ingest.watcher import Watcher
from tests.fakes import spine
from tests.fakes.farm import until
from tests.fakes.ingest import film, start
from workers.ledger import open_ledger
from workers.submission import Desk, open_desk


@dataclass(frozen=True, kw_only=True)
class Hatch:
    """A watched folder, the farm behind it, and a delivery that can be put there."""

    folder: Path
    delivery: Path
    desk: Desk

    def put(self, name: str = "one") -> Path:
        """Put a complete delivery there; its document."""
        return shutil.copytree(self.delivery.parent, self.folder / name) / "episode.toml"

    def watcher(self, *, patience: float = 3600.0) -> Watcher:
        return Watcher(Folder(self.folder), self.desk, every=0.0, patience=patience)

    def look_twice(self, **options: float) -> None:
        watcher = self.watcher(**options)
        watcher.tend()
        watcher.tend()

    def submitted_at(self) -> datetime | None:
        overview = self.desk.ledger.overview(spine.EPISODE)
        return overview.submitted_at if overview else None

    def note(self, kind: str, name: str = "one") -> dict[str, object]:
        note: dict[str, object] = json.loads((self.folder / kind / f"{name}.json").read_text())
        return note


@pytest.fixture
def hatch(delivery: Path, tmp_path: Path) -> Iterator[Hatch]:
    (tmp_path / "in").mkdir()
    with open_desk(spine.settings(tmp_path / "home", delivery)) as desk:
        yield Hatch(folder=tmp_path / "in", delivery=delivery, desk=desk)


def test_a_complete_delivery_is_submitted_at_the_second_look(hatch: Hatch) -> None:
    """With a note beside it; who looks later, or anew, leaves it alone without examining it."""
    hatch.put()
    watcher = hatch.watcher()
    watcher.tend()
    assert (hatch.submitted_at(), watcher.waiting) == (None, ["one"])
    watcher.tend()
    at = hatch.submitted_at()
    assert (at is not None, watcher.waiting) == (True, [])
    note = hatch.note("submitted")
    assert (note["episode"], note["steps"]) == (spine.EPISODE, len(spine.STEPS))
    for later in (watcher, hatch.watcher()):
        later.tend()
        assert (later.waiting, hatch.submitted_at()) == ([], at)
    assert not list((hatch.folder / "refused").iterdir())


def test_what_is_still_arriving_is_waited_for(hatch: Hatch) -> None:
    """The document first, then a film that grows: nothing happens until two looks saw the same."""
    document = hatch.put()
    whole = film(document).read_bytes()
    film(document).unlink()
    watcher = hatch.watcher()
    for size in (0, 1000, 2000, len(whole)):
        watcher.tend()
        film(document).write_bytes(whole[:size])
        os.utime(film(document), ns=(size, size))  # a clock too coarse to tell two writes apart
    watcher.tend()
    assert (hatch.submitted_at(), watcher.waiting) == (None, ["one"])
    watcher.tend()
    assert hatch.submitted_at()


def test_a_corrected_delivery_is_submitted_in_its_place(hatch: Hatch) -> None:
    """The same folder, another title: a new version through the same door."""
    document = hatch.put()
    hatch.look_twice()
    before = hatch.note("submitted")["digest"]
    document.write_text(re.sub(r'title = "[^"]*"', 'title = "Corrected"', document.read_text(), count=1))
    hatch.look_twice()
    assert hatch.note("submitted")["digest"] != before
    overview = hatch.desk.ledger.overview(spine.EPISODE)
    assert overview
    assert overview.plan.title == "Corrected"


def test_a_lost_note_submits_nothing_twice(hatch: Hatch) -> None:
    """As after a kill between the ledger's commit and the note: the ledger is left exactly as it is."""
    hatch.put()
    hatch.look_twice()
    at = hatch.submitted_at()
    (hatch.folder / "submitted" / "one.json").unlink()
    hatch.look_twice()
    assert hatch.submitted_at() == at
    assert hatch.note("submitted")["steps"] is None


def link_document(document: Path) -> None:
    shutil.move(document, document.parents[2] / "elsewhere.toml")
    document.symlink_to(document.parents[2] / "elsewhere.toml")


def link_film(document: Path) -> None:
    shutil.move(film(document), document.parents[2] / "film")
    film(document).symlink_to(document.parents[2] / "film")


def link_folder(document: Path) -> None:
    shutil.move(film(document), document.parents[2] / film(document).name)
    named(document, "out/" + film(document).name)
    (document.parent / "out").symlink_to(document.parents[2])


def pipe_document(document: Path) -> None:
    document.unlink()
    os.mkfifo(document)


def pipe_film(document: Path) -> None:
    film(document).unlink()
    os.mkfifo(film(document))


def named(document: Path, file: str) -> None:
    document.write_text(document.read_text().replace(film(document).name, file))


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "linked document": (link_document, "is no regular file of the delivery, or is reached through a link."),
    "linked film": (link_film, "is no regular file of the delivery, or is reached through a link."),
    "linked folder": (link_folder, "is no regular file of the delivery, or is reached through a link."),
    "pipe as document": (pipe_document, "is no regular file of the delivery, or is reached through a link."),
    "pipe as film": (pipe_film, "is no regular file of the delivery, or is reached through a link."),
    "outside": (lambda d: named(d, "../film.mov"), "names `../film.mov`, which is not in the delivery."),
    "system file": (lambda d: named(d, "/etc/passwd"), "names `/etc/passwd`, which is not in the delivery."),
    "someone's bucket": (lambda d: named(d, "s3://a/b"), "names `s3://a/b`, which is not in the delivery."),
    "endless name": (lambda d: named(d, "a" * 2000), "can't be read: File name too long."),
    "huge document": (lambda d: d.write_bytes(b"#\n" * (1 << 20)), "is larger than any episode.toml"),
    "long line": (lambda d: d.write_text("a" + ".a" * 100_000 + " = 1"), "is larger than any episode.toml"),
    "deep document": (lambda d: d.write_text("a = " + "[" * 2000), "is nested too deeply to be a document."),
    "no text": (lambda d: d.write_bytes(b"\xff\xfe"), "is not UTF-8 text."),
    "no TOML": (lambda d: d.write_text("{}"), "is not TOML"),
    "missing film": (lambda d: film(d).unlink(), "which has not come in 0 minutes."),
    "no film": (lambda d: film(d).write_bytes(b"no film at all" * 99), "is not media that we take."),
    "damaged film": (
        lambda d: d.write_text(d.read_text().replace("[mezzanine]", f'[mezzanine]\nsha256 = "{"0" * 64}"')),
        f"not {'0' * 64} as declared.",
    ),
}


@pytest.mark.parametrize("wrong", HOSTILE)
def test_what_is_refused_is_moved_aside_with_the_reason_beside_it(wrong: str, hatch: Hatch) -> None:
    """One sentence; no other delivery is disturbed, and the ledger knows of nothing."""
    break_it, sentence = HOSTILE[wrong]
    break_it(hatch.put())
    hatch.look_twice(patience=0)
    note = hatch.note("refused")
    assert sentence in str(note["error"])
    assert (hatch.folder / "refused" / "one").is_dir()
    assert not (hatch.folder / "one").exists()
    assert (hatch.submitted_at(), note.keys()) == (None, {"refused_at", "error", "hint", "look"})


def test_refused_twice_is_kept_twice(hatch: Hatch) -> None:
    """The second of that name does not replace the first."""
    for _ in range(2):
        hatch.put().write_text("{}")
        hatch.look_twice()
    assert {path.name for path in (hatch.folder / "refused").iterdir()} == {"one", "one.json", "one-2", "one-2.json"}


def test_a_refusal_that_was_cut_off_is_finished(hatch: Hatch) -> None:
    """As after a kill between the reason and the move: the same name, and one reason."""
    hatch.put().write_text("{}")
    hatch.watcher()
    (hatch.folder / "refused" / "one.json").write_text("{}")
    hatch.look_twice()
    assert {path.name for path in (hatch.folder / "refused").iterdir()} == {"one", "one.json"}
    assert "is not TOML" in str(hatch.note("refused")["error"])


def test_thousands_of_files_that_nobody_named_cost_nothing(hatch: Hatch) -> None:
    """A delivery's folder is never listed: only what the document names is looked at."""
    document = hatch.put()
    for number in range(3000):
        (document.parent / f"{number}").touch()
    hatch.look_twice()
    assert hatch.submitted_at()


def test_folders_that_are_no_deliveries_are_left_alone(hatch: Hatch) -> None:
    """Links to folders, folders without a document, names that a terminal would act on."""
    (hatch.folder / "empty").mkdir()
    elsewhere = shutil.copytree(hatch.delivery.parent, hatch.folder.parent / "elsewhere")
    (hatch.folder / "link").symlink_to(elsewhere)
    hatch.put("\x1b[2J")
    watcher = hatch.watcher()
    watcher.tend()
    assert watcher.waiting == []


def test_half_a_note_is_swept_away(hatch: Hatch) -> None:
    """What a kill left an hour ago; a younger one may be another watcher's."""
    hatch.watcher()
    old, young = (hatch.folder / "submitted" / f".{name}.json.00000000.part" for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    hatch.watcher()
    assert (old.exists(), young.exists()) == (False, True)


def test_what_is_not_the_deliverys_fault_is_put_off(hatch: Hatch) -> None:
    """A host that can't keep a note refuses nothing; once it can, the delivery goes in."""
    hatch.put()
    watcher = hatch.watcher()
    (hatch.folder / "submitted").rmdir()
    (hatch.folder / "submitted").touch()
    watcher.tend()
    watcher.tend()
    assert (watcher.waiting, list((hatch.folder / "refused").iterdir())) == (["one"], [])
    (hatch.folder / "submitted").unlink()
    watcher.tend()
    watcher.tend()
    assert (watcher.waiting, hatch.note("submitted")["episode"]) == ([], spine.EPISODE)


def test_notes_are_not_written_through_a_link(hatch: Hatch) -> None:
    """Who may write in the folder must not thereby make us write elsewhere."""
    elsewhere = hatch.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (hatch.folder / "submitted").symlink_to(elsewhere)
    with pytest.raises(HostError, match="can't be worked with"):
        hatch.watcher()
    assert list(elsewhere.iterdir()) == []


def test_of_two_watchers_one_submits(hatch: Hatch, tmp_path: Path) -> None:
    """At the same time, in two processes: both end well, one submits, and a refusal is moved once."""
    hatch.put()
    hatch.put("two").write_text("{}")
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    with ThreadPoolExecutor(2) as threads:
        run = lambda log: start(hatch.desk.settings, hatch.folder, log, "--once").wait(60)  # noqa: E731 - one use
        assert list(threads.map(run, logs)) == [0, 0]
    told = "".join(log.read_text() for log in logs)
    assert told.count("ingest.submitted") == 1
    assert {path.name for path in (hatch.folder / "refused").iterdir()} == {"two", "two.json"}
    assert hatch.note("submitted")["episode"] == spine.EPISODE


def said(log: Path, event: str) -> bool:
    return f"ingest.{event}" in log.read_text()


#: What a watcher says after each of its effects, and before the next.
EFFECTS = ("arriving", "complete", "planned", "submitted", "known", "noted", "refused")


def test_a_watcher_that_is_killed_again_and_again_submits_once(hatch: Hatch, tmp_path: Path) -> None:
    """SIGKILL after each effect, and at random instants: the next one goes on, and the ledger was written once."""
    hatch.put()
    hatch.put("two").write_text("{}")
    seed = int(os.environ.get("AVANT_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    sys.stdout.write(f"AVANT_TEST_SEED={seed}\n")
    chance = random.Random(seed)
    seen = set()
    for number in range(8):
        log = tmp_path / f"{number}.log"
        child = start(hatch.desk.settings, hatch.folder, log)
        after = EFFECTS[number] if number < 5 else chance.choice(EFFECTS)
        with suppress(AssertionError):  # or else at a random instant
            until(partial(said, log, after), patience=chance.uniform(1.0, 4.0))
        child.send_signal(signal.SIGKILL)
        process.stop(child, 0)
        seen.add(hatch.submitted_at())
    assert start(hatch.desk.settings, hatch.folder, tmp_path / "last.log", "--once").wait(60) == 0
    assert seen | {hatch.submitted_at()} <= {None, hatch.submitted_at()}
    assert {path.name for path in hatch.folder.iterdir()} == {"one", "submitted", "refused"}
    refused = {path.name for path in (hatch.folder / "refused").iterdir() if path.suffix != ".part"}
    assert refused == {"two", "two.json"}
    assert hatch.note("submitted")["episode"] == spine.EPISODE
    assert "steps" in hatch.note("submitted")


@pytest.mark.parametrize(
    ("place", "code", "sentence"),
    [
        ("/nowhere/at/all", 73, "error: /nowhere/at/all is not a folder."),
        ("s3://bucket/in", 78, "error: s3://bucket/in can't be watched: nothing says where that bucket is."),
    ],
)
def test_what_can_not_be_watched_is_said(place: str, code: int, sentence: str, tmp_path: Path, delivery: Path) -> None:
    log = tmp_path / "log"
    assert start(spine.settings(tmp_path / "home", delivery), place, log, "--once").wait(60) == code
    assert sentence in log.read_text()


def test_what_still_waits_is_told_by_the_exit_code(hatch: Hatch, tmp_path: Path) -> None:
    """75: come again later."""
    film(hatch.put()).unlink()
    log = tmp_path / "log"
    assert start(hatch.desk.settings, hatch.folder, log, "--once").wait(60) == 75
    assert "ingest.incomplete" in log.read_text()
    ledger = open_ledger(hatch.desk.settings.ledger_address)
    assert ledger.episodes() == ()
    ledger.close()
