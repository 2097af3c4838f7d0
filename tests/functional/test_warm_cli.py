"""What operators ask about warming."""

import json
from pathlib import Path

from pipelines import layout
from tests.fakes import spine
from tests.fakes.episode import Episode
from tests.fakes.liar import Liar, standing

TWO = """
[[edges]]
name = "small"
url = "{url}"
capacity = {{ daily_requests = 40, requests_per_second = 2 }}
[[edges]]
name = "frankfurt"
role = "shield"
url = "{url}"
"""


def test_a_plan_of_warming_says_what_fits(episode: Episode, tmp_path: Path) -> None:
    """Objects, bytes and minutes for each edge, shields first, and what its quota leaves cold; nothing is asked."""
    edges = tmp_path / "edges.toml"
    with standing(Liar(bodies={})) as edge:
        edges.write_text(TWO.format(url=edge.url))
        told = episode.avant("warm", "plan", spine.EPISODE, "--edges", edges, "--json").told
        shown = episode.avant("warm", "plan", spine.EPISODE, "--edges", edges)
        assert edge.asked.total() == 0
    shield, small = told["edges"]
    public = {key: size for key, size in episode.listed.items() if not key.startswith("inventories/")}
    assert (shield["edge"], shield["objects"], shield["bytes"]) == ("frankfurt", len(public), sum(public.values()))
    assert (shield["minutes"], shield["left"]["objects"]) == (None, 0)
    assert (small["asked_requests"], small["minutes"]) == (40, 0.33)
    assert (small["objects"] + small["left"]["objects"], small["left"]["why"]) == (len(public), "daily_requests")
    assert "daily" in shown.out
    assert shown.status == 0


def test_a_proof_on_demand_says_who_is_warm(episode: Episode, tmp_path: Path) -> None:
    """Each edge with its hits; an edge that is not warm ends it with the exit code of edges."""
    edges = tmp_path / "edges.toml"
    # All that was ever published: other tests gave the episode other versions.
    keys = [key for prefix in layout.PUBLIC for key in episode.store.keys(prefix)]
    bodies = {key: found[0] for key in keys if (found := episode.store.get(key))}
    with standing(Liar(bodies=bodies, tells_age=False)) as edge:
        edges.write_text(f'[[edges]]\nname = "paris"\nurl = "{edge.url}"\n')
        told = episode.avant("warm", "prove", spine.EPISODE, "--edges", edges, "--json").told
        edge.room = 0
        edge.copies.clear()
        refused = episode.avant("warm", "prove", spine.EPISODE, "--edges", edges, "--json")
    assert [(each["edge"], each["hits"]) for each in told["edges"]] == [("paris", told["edges"][0]["objects"])]
    assert told["ok"]
    assert refused.status == 69
    assert "is not warm" in refused.err
    found = json.loads(refused.out)
    (cold,) = found["edges"]
    assert (found["ok"], cold["ok"], cold["hits"], cold["lost"]) == (False, False, 0, cold["asked"])
    assert "did not come from its cache" in cold["said"]
