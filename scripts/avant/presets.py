"""`avant presets`: what can be made, and of what it consists."""

from typing import Annotated

import typer

from presets.catalogue import load, names
from scripts.avant.console import AsJson, print_json, print_table
from workers.settings import Settings


def presets(
    name: Annotated[str, typer.Argument(help="Show this preset's ladder.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the presets, or show one."""
    folder = Settings().presets
    if not name:
        found = [load(each, folder) for each in names(folder)]
        if as_json:
            print_json({"presets": [preset.model_dump(mode="json") for preset in found]})
            return
        print_table(
            ("preset", "rungs", "audio", "what for"),
            (
                (
                    preset.name,
                    " ".join(f"{rung.height}p" for rung in preset.video.rungs),
                    " ".join(f"{variant.codec} {variant.layout}" for variant in preset.audio.variants),
                    preset.title,
                )
                for preset in found
            ),
        )
        return
    preset = load(name, folder)
    if as_json:
        print_json(preset.model_dump(mode="json"))
        return
    print_table(
        ("rung", "kb/s>", "max kb/s>", "buffer kb>", "CRF>", "profile", "must"),
        (
            (
                f"{rung.height}p",
                f"{rung.bitrate / 1000:.0f}",
                f"{rung.maxrate / 1000:.0f}",
                f"{rung.bufsize / 1000:.0f}",
                f"{rung.crf:g}",
                rung.profile,
                "yes" if rung.must else "no",
            )
            for rung in preset.video.rungs
        ),
        title=preset.title,
    )
