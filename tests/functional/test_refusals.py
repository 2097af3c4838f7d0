"""What can't be used is refused by the command line: a sentence, a hint, an exit code, and nothing left behind."""

import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipelines.tools.s3 import Store
from tests import gallery
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.careless_store import careless_store
from tests.fakes.farm import until
from tests.fakes.kin import kin
from tests.fakes.readers import is_manifest, named
from tests.fakes.spine import Avant, Ran

#: As sysexits.h counts: who can put it right is told by the code alone.
DELIVERY, STORE, HOST, CONFIGURATION = 65, 69, 73, 78

ANSWER = re.compile(r"error: (?P<sentence>[^\n]+\.)\n\nhint: (?P<hint>[^\n]+)\n")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A home and a store in which nothing has happened yet."""

    avant: Avant
    store: Store

    @property
    def home(self) -> Path:
        return self.avant.settings.home

    def but(self, **settings: Any) -> "Desk":
        """The same with other settings."""
        return Desk(avant=Avant(settings=self.avant.settings.model_copy(update=settings)), store=self.store)

    def refuses(self, document: Path, sentence: str, code: int) -> None:
        """Run it, and be refused: with that sentence and code, before anything was made."""
        ran = self.avant("run", document, "--json", patience=60)
        assert said(ran, code) == sentence
        self.left_nothing()

    def left_nothing(self) -> None:
        assert spine.keys(self.store) == set()
        assert kin(self.home) == []
        assert not (self.home / "scratch").exists()


def said(ran: Ran, code: int) -> str:
    """The one sentence of a command that was refused with that code."""
    answer = ANSWER.fullmatch(ran.err)
    assert answer, ran.err
    assert (ran.status, ran.out) == (code, "")
    return answer["sentence"]


@pytest.fixture(scope="module")
def empty(store_service: StoreService) -> Iterator[Store]:
    """A bucket that stays empty: that is the point."""
    store = store_service.bucket(f"refusals-{secrets.token_hex(8)}")
    store.make_bucket()
    yield store
    store._connection.client.delete_bucket(Bucket=store.bucket)
    store.close()


@pytest.fixture
def desk(empty: Store, store_service: StoreService, delivery: Path, tmp_path: Path) -> Desk:
    return _desk(tmp_path / "home", empty, store_service, delivery)


def _desk(home: Path, store: Store, service: StoreService, delivery: Path) -> Desk:
    return Desk(avant=Avant(settings=spine.settings(home, delivery, service, store.bucket)), store=store)


def unknown_preset(folder: Path) -> Path:
    path = gallery.document(folder)
    path.write_text(path.read_text().replace('"quick"', '"quikc"'))
    return path


def missing_document(folder: Path) -> Path:
    return folder / "episode.toml"


NO_LANGUAGE = "`french` is not a language tag; BCP 47 writes `en`, `pt-BR`, `zh-Hant`."
REFUSED: list[tuple[Callable[[Path], Path], str]] = [
    (missing_document, "{0}/episode.toml can't be read: No such file or directory."),
    (unknown_preset, "There is no preset `quikc`."),
    (gallery.unknown_key, "{0}/episode.toml: `audio[1].langauge` is not a key of this document."),
    (
        gallery.wrong_language_tag,
        f"{{0}}/episode.toml: `audio[2].language`: {NO_LANGUAGE}",
    ),
    (gallery.missing_mezzanine, "{0}/m.mov does not exist."),
    (gallery.empty_mezzanine, "{0}/m.mov is empty."),
    (gallery.text_as_mezzanine, "m.mov is not media that we take."),
    (gallery.truncated_mov, "m.mov is truncated: 60 of 100 frames are there."),
    (gallery.no_picture, "m.wav has no picture."),
    (
        gallery.no_audio_for_a_language,
        "Episode `x` has no `fr` audio: the mezzanine has 2 audio tracks, `track = 3` is not among them.",
    ),
    (gallery.short_dub, "The `fr` dub ends 1.20 s before the programme, which is 4.00 s long."),
    (gallery.unreadable_subtitle, "fr.srt is not UTF-8 text: line 2 has byte 0x80."),
    (gallery.zero_length_cue, "fr.srt: cue 1, at 00:00:00.500, ends as soon as it starts."),
]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a delivery."""

    ran: Ran
    desk: Desk
    #: Where it was.
    folder: Path


@pytest.fixture(scope="module")
def answers(
    empty: Store, store_service: StoreService, delivery: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """The answer to each broken delivery, by what is wrong with it. They are run side by side: most is starting up."""

    def answer(broken: Callable[[Path], Path]) -> Answer:
        folder = tmp_path_factory.mktemp("sent")
        desk = _desk(folder / "home", empty, store_service, delivery)
        return Answer(ran=desk.avant("run", broken(folder), "--json"), desk=desk, folder=folder)

    with ThreadPoolExecutor(3) as threads:
        broken = [each for each, _ in REFUSED]
        return dict(zip([each.__name__ for each in broken], threads.map(answer, broken), strict=True))


@pytest.mark.parametrize(("name", "sentence"), [(broken.__name__, sentence) for broken, sentence in REFUSED])
def test_a_broken_delivery_is_refused(name: str, sentence: str, answers: dict[str, Answer]) -> None:
    """65 for whoever sent it, and the store is as it was."""
    answer = answers[name]
    assert said(answer.ran, DELIVERY) == sentence.format(answer.folder)
    answer.desk.left_nothing()


@pytest.mark.parametrize(
    ("setting", "value", "trouble"),
    [
        ("s3_secret_key", SecretStr("not the key"), "refuses the credentials."),
        ("s3_access_key", "nobody", "refuses the credentials."),
        ("s3_bucket", "no-such-bucket", "has no bucket `no-such-bucket`."),
    ],
)
def test_a_store_that_refuses_us_is_said(setting: str, value: object, trouble: str, desk: Desk, delivery: Path) -> None:
    """78 for whoever runs the farm, before the delivery is examined."""
    sentence = f"The object store at {desk.store.host} {trouble}"
    desk.but(**{setting: value}).refuses(delivery, sentence, CONFIGURATION)


def test_a_store_that_is_down_is_said(desk: Desk, delivery: Path, unused_port: int) -> None:
    """69: it may pass. It is asked several times, but nobody waits long for the answer."""
    began = time.monotonic()
    down = desk.but(s3_endpoint=f"http://127.0.0.1:{unused_port}")
    down.refuses(delivery, f"The object store at 127.0.0.1:{unused_port} does not answer.", STORE)
    assert time.monotonic() - began < 30


def test_a_store_that_is_too_busy_is_asked_again_first(desk: Desk, delivery: Path) -> None:
    """Only what fails again and again is told: the shortest way once, then boto3 four times, with pauses."""
    with _busy_store() as busy:
        desk.but(s3_endpoint=busy.endpoint).refuses(
            delivery, f"The object store at {busy.endpoint.removeprefix('http://')} is too busy (SlowDown).", STORE
        )
    assert busy.asked.count("PUT") == 5


@pytest.mark.parametrize(
    ("forgets", "fault"),
    [
        ("if-none-match", "does not honour If-None-Match: what must never change could be overwritten."),
        ("if-match", "does not honour If-Match: of two releases at once, the later would be lost."),
    ],
)
def test_a_store_without_conditional_writes_is_refused(forgets: str, fault: str, desk: Desk, delivery: Path) -> None:
    """78, before any work: what must never change would not be safe there. The question leaves nothing in it."""
    with careless_store([forgets]) as endpoint:
        sentence = f"The object store at {endpoint.removeprefix('http://')} {fault}"
        desk.but(s3_endpoint=endpoint).refuses(delivery, sentence, CONFIGURATION)


def test_a_broker_that_is_down_is_said(desk: Desk, delivery: Path, unused_port: int) -> None:
    """78: without it no slot would ever be woken."""
    down = desk.but(broker_url=f"redis://127.0.0.1:{unused_port}/0")
    refused = f"Error 111 connecting to 127.0.0.1:{unused_port}. Connection refused"
    down.refuses(delivery, f"The broker does not answer: {refused}.", CONFIGURATION)


def test_a_mistaken_setting_is_said(desk: Desk, delivery: Path) -> None:
    """78, with the name of the setting."""
    sentence = "AVANT_S3_ENDPOINT: String should match pattern '^https?://[^/]'."
    desk.but(s3_endpoint="somewhere").refuses(delivery, sentence, CONFIGURATION)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said(desk: Desk, delivery: Path, small_disk: Path) -> None:
    """73 for whoever runs the host, before anything is begun."""
    _fill(small_disk)
    desk.but(home=small_disk / "home").refuses(delivery, "The disk is full.", HOST)


def test_a_disk_that_is_too_small_is_said(desk: Desk, small_disk: Path, tmp_path: Path) -> None:
    """73, as soon as the plan tells how much there will be: not after hours of encoding."""
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "tiny.toml").write_text(spine.PRESET.replace("90_000", "90_000_000").replace("150_000", "900_000_000"))
    document = gallery.nothing_wrong(tmp_path)
    document.write_text(document.read_text().replace('"quick"', '"tiny"'))
    small = desk.but(home=small_disk / "home", presets=presets)
    sentence = said(small.avant("run", document, "--json"), HOST)
    assert re.fullmatch(rf"6\d MB are free in {small.home}, and this takes about 30\d MB\.", sentence)
    small.left_nothing()


def test_a_disk_that_fills_up_ends_the_run_and_no_more(
    desk: Desk, store: Store, delivery: Path, small_disk: Path
) -> None:
    """73 while steps run. No version is there, whatever is visible is whole; with room again, the next run ends it."""
    home = small_disk / "home"
    filled = desk.but(home=home, s3_bucket=store.bucket)
    log = small_disk.parent / "run.log"
    run = filled.avant.start("run", delivery, "--json", log=log)
    until(lambda: any((home / "scratch").glob("*")) or run.poll() is not None)
    _fill(small_disk)
    run.wait(timeout=60)
    assert said(Ran(status=run.returncode, out="", err=log.read_text()), HOST) == "The disk is full."
    public = spine.keys(store, ("t/", "v/", "e/"))
    bodies = {key: store.get(key) for key in public if is_manifest(key)}
    assert {name for key, body in bodies.items() if body for name in named(key, body[0])} <= public
    assert {key for key in public if key.startswith("v/")} == set()
    assert kin(home) == []
    (small_disk / "filler").unlink()
    assert filled.avant("run", delivery, "--json").told["state"] == "released"


def _fill(folder: Path) -> None:
    """Leave not a byte of the disk that the folder is on."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


@dataclass(kw_only=True)
class Busy:
    """A store with too much to do, and what was asked of it."""

    endpoint: str
    asked: list[str]


@contextmanager
def _busy_store() -> Iterator[Busy]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # else it lets boto wait for its "100 Continue"

        def refuse(self) -> None:
            asked.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b"<Error><Code>SlowDown</Code></Error>"
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = refuse  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing on the tests' terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Busy(endpoint=f"http://127.0.0.1:{server.server_port}", asked=asked)
        finally:
            server.shutdown()
            thread.join()
