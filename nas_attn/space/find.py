"""Find and list search spaces."""

from __future__ import annotations

import os
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from nas_attn.document import read_document
from nas_attn.errors import SpaceError, did_you_mean
from nas_attn.space.write import SPACE_FILE

FOLDER = "search_spaces"
_CHECKOUT = Path(__file__).resolve().parents[2]
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class SpaceSummary:
    """A search space in a list.

    Args:
        name: by which it is found.
        description: for whom it is; empty if the file does not say.
        path: its file.
        problem: why the file cannot be read; None if it can.
    """

    name: str
    description: str
    path: Path
    problem: str | None = None


def list_spaces() -> list[SpaceSummary]:
    """All search spaces with a name, sorted by name; of several with the same name, the nearest."""
    return [_summary(name, path) for name, path in sorted(_by_name().items())]


def find_space(source: str | Path) -> Path:
    """The file of a search space.

    Args:
        source: a path, or a name; a text that ends in .yaml or contains a separator is a path.
    Raises:
        SpaceError: no space has that name. A path is returned whether it exists or not.
    """
    if isinstance(source, Path) or re.search(r"[/\\]", source) or source.endswith(_SUFFIXES):
        return Path(source)
    names = _by_name()
    if source not in names:
        mend = did_you_mean(source, names)
        raise SpaceError(f"unknown search space '{source}'; {mend} (a file of your own is named by its path)")
    return names[source]


def search_folders() -> list[Path]:
    """The folders in which a name is searched, in this order.

    First the current folder's, for a user's own spaces; then the checkout's, if the package runs from one; then
    the places where pip installs the files of a wheel, for the environment and for the user.
    """
    folders = [Path(FOLDER)]
    if os.path.isfile(_CHECKOUT / "pyproject.toml"):
        folders.append(_CHECKOUT / FOLDER)
    schemes = (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user"))
    folders += [Path(sysconfig.get_path("data", scheme), "share", "nas-attn", FOLDER) for scheme in schemes]
    return [folder for folder in folders if os.path.isdir(folder)]  # no error where one is closed


def _by_name() -> dict[str, Path]:
    """The nearest file of each name."""
    return {path.stem: path for folder in reversed(search_folders()) for path in folder.glob("*.yaml")}


def _summary(name: str, path: Path) -> SpaceSummary:
    try:
        document, problems = read_document(path, SPACE_FILE)
        problems.raise_if_any()
    except SpaceError as error:
        return SpaceSummary(name, "", path, problem=error.problems[0])
    description = document.fields["description"].value if "description" in document.fields else ""
    return SpaceSummary(name, " ".join(description.split()) if isinstance(description, str) else "", path)
