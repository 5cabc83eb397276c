"""Check a folder of images and masks: what is in it, and every problem at once.

A folder holds images/ and masks/, either split into train/, val/ and test/ in both, or not split: then
70, 15 and 15 % by a hash of the file names. Images are PNG, JPEG, TIFF, BMP, GIF, WebP or NumPy arrays
with any number of channels. A mask has its image's name, optionally followed by _mask, _seg or _label,
and holds class indices, or 0 and 255. dataset.yaml beside them may say:

  name: nuclei
  classes: [background, nucleus]
  ignore_index: 255
  in_channels: 1
  images: img_dir                       masks: ann_dir, or globs such as '*/masks'
  image_suffix: _img                    mask_suffix: _gt
  clips: false                          folders below a split hold stills
  multi_label: true                     classes may overlap, each with masks of its own:
  masks: {vessel: masks/vessel, disc: masks/disc}
  mask_values: {0: background, 128: nucleus}
  mask_colors: {background: [0, 0, 0], nucleus: [220, 20, 60]}
  threshold: 127                        of grey masks
  instances: true                       values number objects, or each object has a mask
  splits: {train: ['a*', b1], val: [b2], test: [b3]}
  group: '^(p[0-9]+)_'                  the part of a name that groups images, such as the patient

If one such field is all that a folder lacks, the check names it, and --write writes it.

Exit status: 0 if the folder can be used, 2 if it cannot.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.cli._flags import add_settings, given_settings
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import DataError
from nas_attn.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

    from nas_attn.data import FolderReport
    from nas_attn.data.shrink import LeastSide
    from nas_attn.data_card import SplitReport

_SIZES_SHOWN = 4
YAML_NAME = "dataset.yaml"
UNUSABLE_STATUS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``nas-attn data``."""
    parser.add_argument("action", choices=("check",), metavar="ACTION", help="check: what it holds, what is wrong")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="holds images/ and masks/")
    parser.add_argument(
        "--write",
        action="store_true",
        help="where the folder cannot be read, write a dataset.yaml with which it can",
    )
    parser.add_argument("--json", action="store_true", help="the result and all problems as one object")
    add_settings(parser, ("longest_side", "space"), defaults={"longest_side": "the same value as for a search"})


def run(arguments: argparse.Namespace) -> int:
    """Print what was found.

    Raises:
        DataError: the folder cannot be used; all problems are named together.
    """
    from nas_attn.data import check_folder
    from nas_attn.data.proposal import propose

    side, least = _as_in_a_search(arguments)
    report = check_folder(arguments.folder, longest_side=side, least_side=least)
    if arguments.json:
        say(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        return 0 if report.usable else UNUSABLE_STATUS
    proposed = None if report.usable else propose(arguments.folder, side)
    if proposed is not None and arguments.write:
        _write(arguments.folder, proposed)
        report, proposed = check_folder(arguments.folder, longest_side=side, least_side=least), None
    elif arguments.write:
        why = "no dataset.yaml is needed" if report.usable else "no dataset.yaml would make it readable"
        say(f"nothing was written: {why}")
    if report.splits:
        _show(report)
    if not report.usable:
        raise DataError([*report.problems, *_hints(arguments.folder, proposed)])
    say("no problem found")
    return 0


def _hints(folder: Path, proposed: str | None) -> list[str]:
    """What to write into dataset.yaml, in a line; empty if nothing is known to help."""
    from nas_attn.data.proposal import added_lines

    if proposed is None:
        return []
    lines = "', '".join(map(printable, added_lines(folder, proposed)))
    return [
        f"{printable(folder / YAML_NAME)} with '{lines}' would read it; "
        f"'{command('data', 'check', folder)} --write' writes that"
    ]


def _write(folder: Path, text: str) -> None:
    """Write a dataset.yaml.

    Raises:
        DataError: it cannot be written.
    """
    from nas_attn.whole_file import whole_file

    path = folder / YAML_NAME
    try:
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be written: {error.strerror}") from None
    say(f"{printable(path)} was written:\n{text}")


def _as_in_a_search(arguments: argparse.Namespace) -> tuple[int | None, LeastSide]:
    """The side to which a search on this machine would shrink images, and the smallest side that its network
    needs.

    Raises:
        SpaceError: there is no such space.
    """
    from nas_attn.data.shrink import LeastSide
    from nas_attn.models.catalogue import catalogue
    from nas_attn.space import read_space
    from nas_attn.study.setup.preset import find_devices, preset_for

    given = given_settings(arguments, ("longest_side", "space"))
    side = given.get("longest_side") or preset_for(find_devices("auto")[0], arguments.folder).longest_side
    network = read_space(str(given.get("space", StudyRequest.space)), catalogue()).network
    return side if isinstance(side, int) else None, LeastSide(network.min_image_size, network.title)


def _show(report: FolderReport) -> None:
    from nas_attn.cli._console import wide_console

    console = wide_console(soft_wrap=True)
    facts = {
        "folder": printable(report.folder),
        "layout": report.layout,
        "declared in": report.declared_in or "nothing declared (no dataset.yaml)",
        "files": ", ".join(f"{count} {ending}" for ending, count in report.endings),
        "images": _pixels(report),
        "ignored": f"mask value {report.ignore_index}" if report.ignore_index is not None else "nothing",
    }
    facts |= {"classes": "may overlap, each with a mask of its own"} if report.multi_label else {}
    facts |= {split.split: _sizes(split) for split in report.splits}
    for name, fact in facts.items():
        console.print(f"{name:<12}{fact}")
    if report.classes:
        console.print(_shares(report))
    for note in report.notes:
        console.print(f"note: {note}")


def _shares(report: FolderReport) -> Table:
    """Share of each class among the labelled pixels, and the number of images that contain it."""
    from rich.table import Table

    from nas_attn.reporting.terminal.tables import add_numbers

    table = Table("class", show_edge=False, pad_edge=False)
    for split in report.splits:
        add_numbers(table, split.split, "in images")
    for index, name in enumerate(report.classes):
        cells = [(f"{split.class_shares[index]:.2%}", str(split.class_images[index])) for split in report.splits]
        table.add_row(printable(name), *(cell for pair in cells for cell in pair))
    ignored = [(f"{split.ignored_share:.2%}", "") for split in report.splits]
    table.add_row("(ignored)", *(cell for pair in ignored for cell in pair))
    return table


def _pixels(report: FolderReport) -> str:
    channels = report.in_channels or "different numbers of"
    return f"{channels} {'channel' if channels == 1 else 'channels'} of {report.bits} bits"


def _sizes(split: SplitReport) -> str:
    shown = ", ".join(f"{count} of {width}x{height}" for height, width, count in split.sizes[:_SIZES_SHOWN])
    more = sum(count for _, _, count in split.sizes[_SIZES_SHOWN:])
    others = f", {more} of other sizes" if more else ""
    return f"{split.images} images{split.in_clips} (width x height): {shown}{others}"
