"""What counts as warm, kind by kind: headers as each cache really sends them."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from pipelines.warm.edges import Kind
from pipelines.warm.verdict import ADAPTERS, NAMING, Verdict, cache_name, freshness, verdict

#: (kind, headers, verdict), as answers of 200.
CONTRACTS: list[tuple[Kind, dict[str, str], Verdict]] = [
    ("nginx", {"x-cache-status": "HIT"}, "hit"),
    ("nginx", {"x-cache-status": "hit"}, "hit"),
    *[
        ("nginx", {"x-cache-status": word}, "cold")
        for word in ("MISS", "STALE", "EXPIRED", "UPDATING", "REVALIDATED", "BYPASS")
    ],
    ("nginx", {"x-cache": "HIT"}, "hit"),
    ("nginx", {"x-cache-status": "HIT, MISS"}, "cold"),  # the shield hit, the PoP did not
    ("nginx", {"x-cache-status": "MISS, HIT"}, "hit"),
    ("nginx", {"cache-status": "edge; hit"}, "unknown"),
    ("varnish", {"x-varnish": "32770 3", "age": "12", "via": "1.1 cdg (Varnish/7.1)"}, "hit"),
    ("varnish", {"x-varnish": "32770", "age": "0"}, "cold"),
    ("varnish", {"x-varnish": "32770", "age": "40"}, "cold"),  # the shield's age
    ("varnish", {"x-varnish": "9 4, 32770"}, "cold"),  # the shield hit, the PoP did not
    ("varnish", {"x-varnish": "9, 32770 3"}, "hit"),
    ("varnish", {"x-cache": "HIT", "age": "0"}, "hit"),
    ("varnish", {"x-cache": "MISS"}, "cold"),
    ("varnish", {"age": "5"}, "hit"),
    ("varnish", {"age": "0"}, "cold"),
    ("ats", {"via": "http/1.1 cdg (ApacheTrafficServer/9.2.5 [uScHs f p eN:t cCHi p sS])"}, "hit"),
    ("ats", {"via": "https/1.1 cdg (ApacheTrafficServer/9.2.5 [cRs f ])"}, "hit"),
    ("ats", {"via": "http/1.1 cdg (ApacheTrafficServer/9.2.5 [uScMsSfWpSeN:t cCMi pSsS])"}, "cold"),
    ("ats", {"via": "http/1.1 cdg (ApacheTrafficServer/9.2.5 [cSsNfU])"}, "cold"),
    ("ats", {"via": "http/1.1 shield (ATS [cHs f ]), http/1.1 pop (ATS [cMsSfW])"}, "cold"),
    ("ats", {"x-cache": "hit-fresh"}, "hit"),
    ("ats", {"x-cache": "hit-stale"}, "cold"),
    ("ats", {"x-cache": "miss"}, "cold"),
    ("ats", {"via": "http/1.1 cdg (ApacheTrafficServer)"}, "unknown"),
    ("cloudfront", {"x-cache": "Hit from cloudfront", "x-amz-cf-pop": "CDG50-C1", "age": "77"}, "hit"),
    *[
        ("cloudfront", {"x-cache": f"{word} from cloudfront"}, "cold")
        for word in ("Miss", "RefreshHit", "Error", "OriginShieldHit")
    ],
    ("fastly", {"x-cache": "HIT", "x-served-by": "cache-cdg20773-CDG"}, "hit"),
    (
        "fastly",
        {"x-cache": "MISS, HIT", "x-served-by": "cache-bwi1-BWI, cache-cdg2-CDG", "x-cache-hits": "0, 3"},
        "hit",
    ),
    ("fastly", {"x-cache": "HIT, MISS", "x-served-by": "cache-bwi1-BWI, cache-cdg2-CDG"}, "cold"),
    ("cloudflare", {"cf-cache-status": "HIT", "cf-ray": "8f00d2c4e9a1bc2d-CDG"}, "hit"),
    *[
        ("cloudflare", {"cf-cache-status": word}, "cold")
        for word in ("MISS", "EXPIRED", "STALE", "REVALIDATED", "UPDATING", "DYNAMIC", "BYPASS")
    ],
    ("akamai", {"x-cache": "TCP_HIT from a23-1-2-3.deploy.akamaitechnologies.com (AkamaiGHost/11.1) (-)"}, "hit"),
    ("akamai", {"x-cache": "TCP_MEM_HIT from a23-1-2-3.deploy.akamaitechnologies.com"}, "hit"),
    *[
        ("akamai", {"x-cache": f"{word} from a23-1-2-3.deploy.akamaitechnologies.com"}, "cold")
        for word in ("TCP_MISS", "TCP_REFRESH_HIT", "TCP_EXPIRED_HIT", "TCP_NEGATIVE_HIT", "TCP_IMS_HIT", "TCP_DENIED")
    ],
    ("akamai", {"x-cache": "TCP_MISS from a23-1", "x-cache-remote": "TCP_HIT from a88-1"}, "cold"),
    ("rfc9211", {"cache-status": "ExampleCache; hit"}, "hit"),
    ("rfc9211", {"cache-status": "ExampleCache;hit;ttl=376"}, "hit"),
    ("rfc9211", {"cache-status": "ExampleCache; hit=?1"}, "hit"),
    ("rfc9211", {"cache-status": "ExampleCache; hit=?0"}, "cold"),
    ("rfc9211", {"cache-status": "ExampleCache; fwd=uri-miss; stored"}, "cold"),
    ("rfc9211", {"cache-status": "ExampleCache; hit; fwd=stale; fwd-status=304"}, "cold"),
    ("rfc9211", {"cache-status": "OriginCache; hit; ttl=1100, CDN; fwd=uri-miss"}, "cold"),
    ("rfc9211", {"cache-status": "OriginCache; fwd=miss, CDN; hit"}, "hit"),
    ("rfc9211", {"cache-status": '"CDN, Inc.; here"; hit; detail="a, b; fwd=x"'}, "hit"),
    ("rfc9211", {"cache-status": 'CDN; fwd=miss; detail="x; hit"'}, "cold"),
    ("rfc9211", {"cache-status": 'CDN; detail="hit"'}, "cold"),
    ("rfc9211", {"cache-status": "CDN"}, "cold"),
]
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "headers", "said"), CONTRACTS)
def test_each_cache_is_understood_in_its_own_words(kind: Kind, headers: dict[str, str], said: Verdict) -> None:
    """A hit is a whole answer from the cache nearest the viewer, that asked nobody; all else is cold."""
    assert verdict(kind, 200, headers) == said


def test_every_kind_has_a_contract() -> None:
    """No adapter without samples of a hit and of a miss."""
    kinds = set(get_args(Kind))
    assert set(ADAPTERS) == set(NAMING) == kinds
    for word in ("hit", "cold"):
        assert {kind for kind, _, said in CONTRACTS if said == word} == kinds


@pytest.mark.parametrize("kind", get_args(Kind))
def test_silence_is_not_warm(kind: Kind) -> None:
    """An edge that says nothing about its cache has proved nothing."""
    assert verdict(kind, 200, {"server": "x", "content-type": "video/mp4"}) == "unknown"


@pytest.mark.parametrize("status", [301, 304, 403, 404, 416, 500])
def test_only_an_answer_that_holds_the_object_can_be_a_hit(status: int) -> None:
    """A 404 that is a HIT is the worst of all."""
    for kind, headers, said in CONTRACTS:
        if said == "hit":
            assert verdict(kind, status, headers) == "cold"
            assert verdict(kind, 206, headers) == "hit"


@pytest.mark.parametrize(
    ("kind", "headers", "name"),
    [
        ("cloudfront", {"x-amz-cf-pop": "CDG50-C1"}, "CDG50-C1"),
        ("fastly", {"x-served-by": "cache-bwi1-BWI, cache-cdg2-CDG"}, "CDG"),
        ("cloudflare", {"cf-ray": "8f00d2c4e9a1bc2d-CDG"}, "CDG"),
        ("akamai", {"x-cache": "TCP_HIT from a23.deploy.example (AkamaiGHost)"}, "a23.deploy.example"),
        ("varnish", {"via": "1.1 shield (Varnish/7.1), 1.1 cdg-3 (Varnish/7.1)"}, "cdg-3"),
        ("rfc9211", {"cache-status": "Shield; hit, cdg-1; hit"}, "cdg-1"),
        ("nginx", {"x-served-by": "cdg-1"}, "cdg-1"),
        ("nginx", {}, ""),
    ],
)
def test_a_cache_is_known_by_the_name_it_gives(kind: Kind, headers: dict[str, str], name: str) -> None:
    """Of several on the way, the one nearest the viewer."""
    assert cache_name(kind, headers) == name


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"cache-control": "public, max-age=86400", "age": "400"}, 86_000),
        ({"cache-control": "max-age=5, s-maxage=100", "age": "100"}, 0),
        ({"cache-control": "max-age=60", "age": "90"}, -30),
        ({"cache-control": "max-age=7200", "last-modified": "Sun, 29 Nov 2026 11:00:00 GMT"}, 3600),
        ({"cache-control": "max-age=7200", "last-modified": "yesterday"}, 7200),
        ({"cache-control": "no-store, max-age=60"}, 0),
        ({"cache-control": "public"}, None),
        ({}, None),
    ],
)
def test_freshness_is_what_is_left_of_a_lifetime(headers: dict[str, str], left: float | None) -> None:
    """max-age less Age; without an Age, the copy may be as old as the object."""
    assert freshness("rfc9211", headers, NOON) == left
