"""The presets that there are: those of the library, and those of a folder that the operator names."""

from pathlib import Path

from presets.document import DocumentError, nearest, read
from presets.preset import Preset

LIBRARY = Path(__file__).parent / "library"


def names(folder: Path | None = None) -> list[str]:
    """The names of all presets, in alphabetical order."""
    return sorted(_files(folder))


def load(name: str, folder: Path | None = None) -> Preset:
    """The preset of that name. One of the operator's `folder` hides one of the library. Raises `DocumentError`."""
    files = _files(folder)
    if name not in files:
        meant = nearest(name, list(files))
        hint = f"Did you mean `{meant}`?" if meant else f"There are: {', '.join(sorted(files))}."
        raise DocumentError(f"There is no preset `{name}`.", hint)
    preset = read(Preset, files[name])
    if preset.name != name:
        raise DocumentError(f"{files[name]} calls its preset `{preset.name}`.", f"Call it `{name}`, after its file.")
    return preset


def _files(folder: Path | None) -> dict[str, Path]:
    folders = [LIBRARY, *([folder] if folder else [])]
    return {file.stem: file for place in folders for file in place.glob("*.toml")}
