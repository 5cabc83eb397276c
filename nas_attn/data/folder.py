"""Read a folder of images and masks, or report all of its problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nas_attn.data.agreement import find_channels, palette_problems
from nas_attn.data.clip_folders import clip_lengths, clip_notes, clip_problems
from nas_attn.data.dataset import Dataset, LabelledImages, assemble
from nas_attn.data.declaration import YAML_NAME, Declaration, Declared, read_declaration
from nas_attn.data.examine import Examined, examine
from nas_attn.data.layout import SPLITS
from nas_attn.data.listing import Listing, list_folder
from nas_attn.data.meaning import Meaning, find_meaning
from nas_attn.data.on_demand import OnDemand, in_turn
from nas_attn.data.overlapping import Overlapping
from nas_attn.data.pairing import ImagePair, pairs_of
from nas_attn.data.problem import Problem, Sort, folded
from nas_attn.data.report import FolderReport, report_splits
from nas_attn.data.rereading import Rereader, quiet_decoders
from nas_attn.data.shrink import LeastSide, shrunk_size
from nas_attn.data.splitting import drawn_images, group_of, split_pairs
from nas_attn.data.twins import reunite
from nas_attn.errors import DataError
from nas_attn.printable import name_problem

_FEW = 5


def read_folder(folder: Path, *, longest_side: int | None = None) -> Dataset:
    """Read a data set. An image is decoded again at each access, and never kept.

    Args:
        folder: with images/ and masks/, and optionally dataset.yaml.
        longest_side: to which larger images are shrunk, in pixels; None leaves them as they are.
    Raises:
        DataError: something is wrong with the folder; all problems are reported together.
    """
    survey = survey_folder(Path(folder), longest_side)
    if survey.report.problems or survey.meaning is None:
        raise DataError(survey.report.problems)
    train, val, test = (_on_demand(survey, survey.meaning, split, longest_side) for split in SPLITS)
    return assemble(survey.report.name, survey.report.classes, train, val, test, longest_side)


def check_folder(
    folder: Path, *, longest_side: int | None = None, least_side: LeastSide | None = None
) -> FolderReport:
    """Report the content and the problems of a folder. It raises no errors, whatever the files contain.

    Args:
        folder: with images/ and masks/, and optionally dataset.yaml.
        longest_side: as in ``read_folder``.
        least_side: what the network of a search needs; None considers no network.
    """
    survey = survey_folder(Path(folder), longest_side)
    judged = [each for each in survey.examined if each.pair.split in ("val", "test")]
    sizes = ((each.pair.name, *shrunk_size(each.height, each.width, longest_side)) for each in judged)
    problem = least_side.problem(sizes) if least_side is not None else None
    return replace(survey.report, problems=(*survey.report.problems, *([problem] if problem else [])))


@dataclass(frozen=True, eq=False)
class Survey:
    """Result of examining a folder.

    Args:
        report: in words and numbers.
        examined: the pairs that could be read.
        meaning: of the masks' values; None if it is unclear.
        listing: all image and mask files.
        problems: all problems, before similar ones are folded.
        declaration: how the files are read.
    """

    report: FolderReport
    examined: tuple[Examined, ...]
    meaning: Meaning | Overlapping | None
    listing: Listing
    problems: tuple[Problem, ...]
    declaration: Declaration


def survey_folder(
    folder: Path,
    longest_side: int | None,
    declared: Declared | None = None,
    most: int | None = None,
) -> Survey:
    """Examine a folder, a few images at a time.

    Args:
        folder: of the data set.
        longest_side: as in ``read_folder``.
        declared: declaration of the folder; None reads its own.
        most: approximate number of pairs to examine; None for all.
    """
    if longest_side is not None and longest_side < 1:
        raise DataError(f"longest_side is {longest_side}; it must be at least 1")
    declaration, declared_wrong, said = declared or read_declaration(folder)
    listing, found, notes = list_folder(folder, declaration.layout)
    found += declared_wrong
    paired, unmatched = pairs_of(listing, declaration.layout)
    # those that have a folder, or a place of their own
    given = {entry.split for entry in listing.images} | {split for split, _ in declaration.layout.images}
    pairs, split_wrong, split_notes = split_pairs(paired, given, declaration)
    pairs = pairs[:: max(1, len(pairs) // most)] if most is not None else pairs
    examined, unreadable = _examined(folder, pairs, declaration, longest_side)
    examined, twins, twin_notes = reunite(examined, pairs, drawn_images(paired, given, declaration))
    channels, channels_wrong, channel_notes = find_channels(examined, declaration)
    meaning, meaning_wrong, meaning_notes = find_meaning(examined, declaration)
    found += [*unmatched, *split_wrong, *unreadable, *channels_wrong, *meaning_wrong, *twins]
    found += [*palette_problems(examined, declaration), *clip_problems(examined), *_nameless(folder, declaration)]
    notes += [*said, *split_notes, *twin_notes, *_few_notes(examined), *clip_notes(examined)]
    notes += [*channel_notes, *meaning_notes, *_reading_notes(examined, longest_side)]
    report = FolderReport(
        folder=str(folder),
        name=declaration.name or folder.resolve().name,
        layout=listing.layout if listing.images else "",
        declared_in=declaration.source,
        classes=meaning.classes if meaning else (),
        ignore_index=declaration.ignore_index,
        in_channels=channels,
        bits=max((each.bits for each in examined), default=None),
        endings=tuple(Counter(entry.path.suffix.lower() for entry in listing.images).most_common()),
        splits=report_splits(examined, meaning),
        notes=tuple(notes),
        problems=folded(found),
        multi_label=declaration.multi_label,
    )
    return Survey(report, tuple(examined), meaning, listing, tuple(found), declaration)


def _examined(
    folder: Path, pairs: Sequence[ImagePair], declaration: Declaration, longest_side: int | None
) -> tuple[list[Examined], list[Problem]]:
    with quiet_decoders():
        look = partial(examine, folder, declaration=declaration, longest_side=longest_side)
        results = list(in_turn(lambda number: look(pairs[number]), len(pairs)))
    examined = [result for result in results if isinstance(result, Examined)]
    return examined, [problem for result in results if not isinstance(result, Examined) for problem in result]


def _few_notes(examined: Sequence[Examined]) -> list[str]:
    """Splits that are too small to compare placements."""
    counts = {split: sum(each.pair.split == split for each in examined) for split in ("val", "test")}
    return [
        f"{split} has only {count} image{'' if count == 1 else 's'}: each of them has a large influence on "
        "what is measured"
        for split, count in counts.items()
        if 0 < count < _FEW
    ]


def _nameless(folder: Path, declaration: Declaration) -> list[Problem]:
    """A folder whose name cannot be the name of a data set, if no other name is declared."""
    problem = None if declaration.name else name_problem(folder.resolve().name)
    if problem is None:
        return []
    line = f"the folder's name {problem}, or give the data another name in {YAML_NAME}, as name: nuclei"
    return [Problem(Sort.DECLARATION, line)]


def _reading_notes(examined: Sequence[Examined], longest_side: int | None) -> list[str]:
    done = Counter(note for each in examined for note in each.notes)
    notes = [f"{count} images are read {note}" for note, count in done.items()]
    shrunk = sum(max(each.height, each.width) > (longest_side or np.inf) for each in examined)
    if shrunk:
        notes.append(f"{shrunk} images are shrunk to a longest side of {longest_side} pixels")
    keys = Counter((each.pair.split, each.digest) for each in examined)
    repeats = sum(count - 1 for count in keys.values())
    if repeats:
        notes.append(f"{repeats} images are pixel for pixel the same as another one of their split")
    return notes


def _on_demand(
    survey: Survey, meaning: Meaning | Overlapping, split: str, longest_side: int | None
) -> LabelledImages:
    chosen = [each for each in survey.examined if each.pair.split == split]
    reader = Rereader(
        Path(survey.report.folder),
        survey.declaration,
        longest_side,
        survey.report.in_channels or 1,
        meaning,
        chosen,
    )
    sizes = [shrunk_size(each.height, each.width, longest_side) for each in chosen]
    names, group = tuple(each.pair.name for each in chosen), survey.declaration.layout.group
    return LabelledImages(
        OnDemand(reader.image, len(chosen)),
        OnDemand(reader.mask, len(chosen)),
        tuple(height for height, _ in sizes),
        tuple(width for _, width in sizes),
        names,
        clip_lengths(chosen),
        tuple(group_of(name, group) or "" for name in names) if group else (),
        meaning.multi_label,
    )
