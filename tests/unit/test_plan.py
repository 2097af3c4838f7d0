import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from pipelines.delivery import Delivery
from pipelines.encode import EncodeJob
from pipelines.matrix import URGENCIES
from pipelines.plan import Plan, make_plan, missing
from pipelines.probe import Examined, Picture, Sound, Words
from pipelines.source import Source
from pipelines.warm import Capacity, Edge, WarmJob
from pipelines.wire import canonical, digest, from_data, to_data
from presets.catalogue import load

FILM = Source(uri="/in/m.mov", size=1, sha256="ab" * 32)
DUB = Source(uri="/in/fr.wav", size=2, sha256="cd" * 32)
WORDS = Source(uri="/in/fr.srt", size=3, sha256="ef" * 32)
PARIS = Edge(name="paris", url="http://127.0.0.1:1")


def delivery(*, languages: tuple[str, ...] = ("en", "fr"), texts: tuple[str, ...] = ("fr",)) -> Delivery:
    return Delivery.model_validate(
        {
            "episode": "e",
            "title": "t",
            "preset": "quick",
            "original_language": "en",
            "mezzanine": {"file": FILM.uri},
            "audio": [{"language": x, "role": "original" if x == "en" else "dub"} for x in languages],
            "text": [{"language": x, "file": WORDS.uri} for x in texts],
        }
    )


def examined(
    declared: Delivery | None = None, *, film: Source = FILM, sounds: dict[str, Source] | None = None
) -> Examined:
    declared = declared or delivery()
    where = {"en": film, "fr": DUB} | (sounds or {})
    return Examined(
        delivery=declared,
        picture=Picture(
            source=film,
            demuxer="mov",
            stream=0,
            codec="h264",
            width=1920,
            height=1080,
            sample_aspect=Fraction(1),
            rotation=0,
            frame_rate=Fraction(25),
            frames=650,
            start_frame=0,
        ),
        first_frame=25,
        frames=625,
        sounds=tuple(
            Sound(
                declared=audio,
                source=where[audio.language],
                demuxer="mov",
                stream=1,
                codec="pcm_s16le",
                sample_rate=48_000,
                channels=2,
                layout="stereo",
                duration=Fraction(26),
                offset=Fraction(-1),
            )
            for audio in declared.audio
        ),
        words=tuple(Words(declared=text, source=WORDS, offset=Fraction(-1), cues=3) for text in declared.text),
    )


def plan(found: Examined | None = None, preset: str = "quick") -> Plan:
    return make_plan(found or examined(), load(preset), [PARIS])


def fingerprint() -> str:
    return digest(to_data(plan()))


def made(planned: Plan) -> set[str]:
    return {digest for step in planned.steps for digest in step.makes}


def kinds(planned: Plan, digests: set[str]) -> list[str]:
    return sorted(step.job.kind for step in planned.steps if digests & set(step.makes))


def test_a_plan_is_a_value_that_survives_the_wire() -> None:
    """What the ledger stores and `--json` prints is the plan, whole."""
    planned = plan()
    assert from_data(Plan, json.loads(canonical(to_data(planned)))) == planned


def test_the_same_inputs_give_the_same_plan_in_every_process() -> None:
    """No digest depends on hash seeds, time, or the order of a set."""
    program = "from tests.unit.test_plan import fingerprint; print(fingerprint())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert elsewhere.stdout.strip() == fingerprint()


def test_where_a_file_lies_does_not_matter() -> None:
    """A file is its content: moved, it is the same, and nothing is made again."""
    moved = examined(film=replace(FILM, uri="/elsewhere/m.mov"))
    assert made(plan(moved)) == made(plan())
    assert plan(moved).version == plan().version


def test_a_changed_file_is_another() -> None:
    """Every frame and the original's sound are made again; the dub and the text are not."""
    changed = plan(examined(film=replace(FILM, sha256="00" * 32)))
    again = made(changed) - made(plan())
    assert "text" not in kinds(changed, again)
    assert kinds(changed, again).count("audio") == 1
    assert kinds(changed, again).count("encode") == kinds(changed, made(changed)).count("encode")


def test_an_s3_object_is_its_place_and_version() -> None:
    """Two objects may share an ETag: the key counts, and so does the version."""
    one = Source(uri="s3://b/m.mov", size=1, etag="x", version="1")
    assert made(plan(examined(film=one))) != made(plan(examined(film=replace(one, version="2"))))
    assert made(plan(examined(film=one))) != made(plan(examined(film=replace(one, uri="s3://b/n.mov"))))


def test_an_added_subtitle_costs_only_its_own_steps() -> None:
    """One text track, and what depends on the set of tracks: the version, its check, its warmth."""
    before = plan(examined(delivery(texts=())))
    after = plan()
    assert kinds(after, made(after) - made(before)) == ["compose", "text", "verify", "warm"]
    assert sorted(step.job.kind for step in missing(after, made(before))) == ["compose", "text", "verify", "warm"]


def test_an_added_language_costs_only_its_own_steps() -> None:
    """One sound, one track, and the version."""
    before = plan(examined(delivery(languages=("en",))))
    steps = missing(plan(), made(before))
    assert sorted(step.job.kind for step in steps) == ["audio", "compose", "package", "verify", "warm"]


def test_two_languages_of_one_sound_share_its_encoding() -> None:
    """The same file as two languages is encoded once, and packaged twice: the language is the track's."""
    planned = plan(examined(sounds={"fr": FILM}))
    assert kinds(planned, made(planned)).count("audio") == 1
    assert len([step for step in planned.steps if step.job.kind == "package" and step.job.medium == "audio"]) == 2


def test_each_step_has_its_own_id_and_output() -> None:
    """A step that is listed twice would be done twice."""
    planned = plan(preset="avc-hd")
    outputs = [digest for step in planned.steps for digest in step.makes]
    assert len(set(outputs)) == len(outputs)
    assert len({step.id for step in planned.steps}) == len(planned.steps)


@pytest.mark.parametrize("preset", ["quick", "avc-hd"])
def test_steps_stand_in_an_order_in_which_they_can_run(preset: str) -> None:
    """Whatever a step needs is made by one before it."""
    there: set[str] = set()
    for step in plan(preset=preset).steps:
        assert set(step.needs) <= there
        there |= set(step.makes)


def test_the_tail_shrinks_along_every_way() -> None:
    """A step's tail is its cost and the longest tail of those that wait for it and are no less urgent."""
    planned = plan()
    waiting = {need: [s for s in planned.steps if need in s.needs] for step in planned.steps for need in step.makes}
    for step in planned.steps:
        urgent = URGENCIES[: URGENCIES.index(step.urgency) + 1]
        after = [later.tail for digest in step.makes for later in waiting[digest] if later.urgency in urgent]
        assert step.tail == pytest.approx(step.cost + max(after, default=0.0))


def test_nothing_is_missing_when_the_goals_exist() -> None:
    """A second run does no work, even if intermediates have been collected."""
    planned = plan()
    assert missing(planned, made(planned)) == ()
    assert missing(planned, set(planned.goals)) == ()
    assert missing(planned, set()) == planned.steps


def test_only_what_leads_to_what_is_missing_is_made() -> None:
    """One lost track costs its packaging and the chunks it is made of, and of those only its own rung."""
    planned = plan()
    track = next(t for t in planned.tracks if t.label == "234p")
    chunks = next(s.needs for s in planned.steps if track.digest in s.makes)
    sprites = {d for s in planned.steps if s.job.kind == "thumbnails" for d in s.makes}
    steps = missing(planned, made(planned) - {planned.editions[-1].verification, track.digest, *chunks} | sprites)
    encodes = [step for step in steps if isinstance(step.job, EncodeJob)]
    assert {digest for step in encodes for digest in step.makes} == set(chunks)
    assert all(len(step.job.rungs) == 1 for step in encodes if isinstance(step.job, EncodeJob))
    assert sorted({step.job.kind for step in steps}) == ["encode", "package", "verify"]


def test_a_step_that_makes_less_costs_less_and_has_another_id() -> None:
    """Pruned work must not be mistaken for the whole."""
    planned = plan()
    whole = next(step for step in planned.steps if isinstance(step.job, EncodeJob))
    pruned = next(step for step in missing(planned, {whole.makes[0]}) if set(step.makes) < set(whole.makes))
    assert pruned.id != whole.id
    assert pruned.cost < whole.cost
    assert pruned.memory < whole.memory
    assert pruned.tail <= whole.tail


def test_a_rung_does_not_depend_on_its_companions() -> None:
    """The lower rungs of two presets that share them are the same bytes: digests say so."""
    preset = load("quick")
    fewer = preset.model_copy(update={"video": preset.video.model_copy(update={"rungs": preset.video.rungs[:1]})})
    encodes = [step for step in make_plan(examined(), fewer).steps if isinstance(step.job, EncodeJob)]
    chunks = {digest for step in encodes for digest in step.makes}
    assert chunks <= made(plan())


def test_every_frame_is_encoded_once_in_every_rung() -> None:
    """From the programme's first frame to its last, in each class of rungs."""
    planned = plan(preset="avc-hd")
    spans: dict[int, list[tuple[int, int]]] = {}
    for step in planned.steps:
        if isinstance(step.job, EncodeJob):
            for rung in step.job.rungs:
                spans.setdefault(rung.height, []).append((step.job.first_frame, step.job.frames))
    for parts in spans.values():
        place = 25
        for first, frames in sorted(parts):
            assert first == place
            place += frames
        assert place == 650


def test_a_shield_is_warmed_before_what_fills_from_it() -> None:
    """A PoP warmed first would ask the origin itself; and what warming may take changes no proof."""
    shield = Edge(name="fra", url="http://fra", role="shield")
    pop = Edge(name="cdg", url="http://cdg", shield="fra")
    planned = make_plan(examined(), load("quick"), [pop, shield])
    steps = {step.job.edge.name: step for step in planned.steps if isinstance(step.job, WarmJob)}
    assert list(steps) == ["fra", "cdg"]
    (edition,) = planned.editions
    assert edition.warmth["fra"] in steps["cdg"].needs
    assert edition.warmth["fra"] not in steps["fra"].needs
    larger = pop.model_copy(update={"capacity": Capacity(connections=2)})
    assert make_plan(examined(), load("quick"), [larger, shield]).editions == planned.editions
