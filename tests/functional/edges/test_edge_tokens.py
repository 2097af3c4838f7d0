"""Media behind tokens: what opens it, and that nothing else does. Each test runs against both servers."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.tokens import Tokens
from tests.fakes import edges
from tests.fakes.crowd import crowd
from tests.fakes.edges import KEY, SERVERS, Stage, did
from tests.fakes.origin import Reply, origin
from tests.fakes.sites import Ask
from tests.functional.edges.conftest import FREE

BODY = bytes(range(256)) * 400
SOON = datetime.now(UTC) + timedelta(hours=1)
TOKENS = Tokens(key=KEY)
GOOD = TOKENS.token("s01e01", SOON)


@pytest.fixture(scope="module", params=SERVERS)
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    kind: str = request.param
    edges.need(kind)
    folder = tmp_path_factory.mktemp(kind)
    with origin() as behind, SERVERS[kind](folder, edges.before(behind, token_key=KEY, limits=FREE)) as edge:
        yield Stage(kind=kind, edge=edge, origin=behind, folder=folder)


@pytest.fixture
def stage(guarded: Stage) -> Iterator[Stage]:
    stage = Stage(kind=guarded.kind, edge=guarded.edge, origin=guarded.origin, folder=guarded.folder)
    stage.keep(stage.segment, Reply(body=BODY))
    yield stage
    stage.origin.reset()


def test_two_tokens_share_one_object(stage: Stage, ask: Ask) -> None:
    """A token is no part of what is kept: whose ever it is, the second viewer hits."""
    others = [TOKENS.token("s01e01", SOON + timedelta(minutes=1)), TOKENS.token("s02e09", SOON)]
    answers = [ask("GET", f"{stage.edge.url}/k/{token}{stage.segment}") for token in (GOOD, *others)]
    assert [did(answer) for answer in answers] == [["edge; fwd=uri-miss"], ["edge; hit"], ["edge; hit"]]
    assert {answer.data for answer in answers} == {BODY}
    assert stage.origin.asked == {"/bucket" + stage.segment: 1}


def test_relative_addresses_keep_the_token(stage: Stage, ask: Ask) -> None:
    """What a playlist names stands beside it, so under the same token; a range and a HEAD are as without."""
    stage.says(f"/t/{stage.name}/media.m3u8", b"#EXTM3U\n00001.m4s\n")
    folder = f"{stage.edge.url}/k/{GOOD}/t/{stage.name}/"
    segment = ask("GET", folder + "media.m3u8").data.decode().split()[-1]
    part = ask("GET", folder + segment, Range="bytes=5-9")
    assert (part.status, part.data) == (206, BODY[5:10])
    assert ask("HEAD", folder + segment).headers["Content-Length"] == str(len(BODY))


MAC = GOOD.rpartition("~")[2]
BAD = {
    "none": "",
    "expired": "/k/" + TOKENS.token("s01e01", datetime.now(UTC) - timedelta(seconds=1)),
    "forged": f"/k/{GOOD[:-1]}{'0' if GOOD[-1] != '0' else '1'}",
    "another episode's": f"/k/s02e09{GOOD.removeprefix('s01e01')}",
    "prolonged": f"/k/s01e01~9999999999~{MAC}",
    "of another key": "/k/" + Tokens(key=KEY[::-1]).token("s01e01", SOON),
    "too short": f"/k/{GOOD[:-1]}",
    "empty": "/k/",
    "two": f"/k/{GOOD}/k/{GOOD}",
    "a second MAC": f"/k/s02e09~9999999999~{'0' * 32}~{MAC}",
}


@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_token_opens_nothing(stage: Stage, ask: Ask, bad: str, state: str) -> None:
    """403 that nobody keeps and every player can read, whether the object is there or not; the store is not asked."""
    if state == "warm":
        assert ask("GET", f"{stage.edge.url}/k/{GOOD}{stage.segment}").status == 200
        stage.origin.asked.clear()
    for method in ("GET", "HEAD"):
        for path in (stage.segment, stage.playlist):
            refused = ask(method, stage.edge.url + BAD[bad] + path, Range="bytes=0-1")
            assert (refused.status, refused.headers["Cache-Control"]) == (403, "no-store")
            assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert not stage.origin.asked


def test_a_token_ends(stage: Stage, ask: Ask) -> None:
    """What it opened is closed again once its instant has come."""
    until = datetime.now(UTC) + timedelta(seconds=2)
    where = f"{stage.edge.url}/k/{TOKENS.token('s01e01', until)}{stage.segment}"
    assert ask("GET", where).status == 200
    while ask("GET", where).status == 200:
        assert time.time() < until.timestamp()
    assert time.time() >= int(until.timestamp())


def test_what_needs_no_token(stage: Stage, ask: Ask) -> None:
    """An entry point discloses tokens, so wants none; nor does a preflight, which can't carry one's rights."""
    stage.says(stage.entry, b"#EXTM3U\n", "public, max-age=1")
    assert ask("GET", stage.edge.url + stage.entry).status == 200
    assert ask("OPTIONS", stage.edge.url + stage.segment).status == 204
    assert ask("GET", stage.edge.url + f"/k/{GOOD}{stage.entry}").status in (403, 404)


@pytest.mark.parametrize("probes", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_no_probe_gets_in_early(stage: Stage, ask: Ask, probes: int) -> None:
    """Without a token not one of many requests for warm and cold media succeeds, or reaches the store."""
    assert ask("GET", f"{stage.edge.url}/k/{GOOD}{stage.segment}").status == 200
    stage.origin.asked.clear()
    guesses = [*BAD.values(), f"/k/s01e01~9999999999~{'f' * 32}"]
    paths = [guesses[n % len(guesses)] + (stage.segment, stage.playlist)[n // len(guesses) % 2] for n in range(probes)]
    answers = crowd(stage.edge.url, [paths[n::20] for n in range(20)])
    assert sum(answers, Counter()) == {403: probes}
    assert not stage.origin.asked


def test_keys_and_tokens_are_in_no_readable_file(stage: Stage, ask: Ask) -> None:
    """Who reads an edge's logs can neither make a token nor use one."""
    stage.keep(stage.playlist, Reply(status=503))
    for path in (stage.segment, stage.playlist, f"/k/{GOOD}{stage.segment}", f"{stage.segment}/k/{GOOD}"):
        ask("GET", f"{stage.edge.url}/k/{GOOD}{path}")
    files = [path for path in stage.folder.rglob("*") if path.is_file()]
    holding = [path for path in files if KEY.encode() in path.read_bytes()]
    assert [oct(path.stat().st_mode & 0o777) for path in holding] == ["0o600"]
    assert not any(MAC.encode() in path.read_bytes() for path in files)
