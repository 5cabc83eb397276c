"""Segment images with a trained architecture.

IMAGES are files, or folders of image files; for an architecture that looks at clips, folders of frames, or the
folder that contains these. OUT gets masks/ (8-bit PNG of class indices, as large as the image), overlays/ (the
image with every class but the first drawn over it) and legend.png. Images that cannot be used are reported at
the end, with the exit status 2; all others are segmented.

  nas-attn predict runs/best-nuclei IMAGES -o predictions
  nas-attn predict best.yaml weights.safetensors IMAGES -o predictions
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nas_attn.cli._console import wide_console
from nas_attn.cli._flags import add_accelerator
from nas_attn.commands import command
from nas_attn.errors import NasAttnError, UsageError
from nas_attn.wording.numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.training.full import PredictionReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "trained", type=Path, metavar="RUN", help=f"folder of '{command('train')}', or ARCHITECTURE.yaml WEIGHTS"
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="files, or folders of images")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder to write into")
    parser.add_argument(
        "--tile", type=int, metavar="PIXELS", help="segment in overlapping tiles (1024 where a side exceeds 2048)"
    )
    add_accelerator(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment the images, and report those that could not be segmented."""
    from nas_attn.architecture import read_architecture
    from nas_attn.models.catalogue import catalogue
    from nas_attn.training.full import predict

    path, weights, images = _trained(arguments.trained, arguments.images)
    architecture = read_architecture(path, catalogue())
    console = wide_console(soft_wrap=True)
    columns = (TextColumn("segmenting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        report = predict(
            architecture,
            weights,
            images,
            arguments.output,
            tile=arguments.tile,
            accelerator=arguments.accelerator,
            report=lambda done, total: progress.update(task, completed=done, total=total),
        )
    _show(report, arguments.output, console)
    if report.problems:
        raise NasAttnError(report.problems)
    return 0


def _trained(named: Path, others: Sequence[Path]) -> tuple[Path, Path, Sequence[Path]]:
    """The architecture, the weights and the images.

    Raises:
        UsageError: an architecture file is given without weights or without images.
    """
    from nas_attn.training.full.run_folder import RunFolder

    if named.is_dir():
        run = RunFolder(named)
        if not run.weights.is_file():
            raise UsageError(f"{named}: holds no weights.safetensors; give the folder of a finished training")
        return run.architecture, run.weights, others
    if len(others) < 2:
        raise UsageError(f"{named}: is not a folder of a run; behind an architecture file give WEIGHTS and IMAGES")
    return named, others[0], others[1:]


def _show(report: PredictionReport, output: Path, console: Console) -> None:
    number, clips = len(report.predictions), report.n_clips
    unit = "image" if clips is None else "frame"
    of_clips = "" if clips is None else f" of {counted(clips, 'clip')}"
    console.print(f"{counted(number, unit)}{of_clips} segmented")
    if not report.predictions:
        return
    for index, name in enumerate(report.classes):
        share = sum(prediction.shares[index] for prediction in report.predictions) / number
        console.print(f"  {name}: {share:.1%} of the pixels, on average over the {unit}s")
    if report.multi_label:
        console.print("classes may overlap: each has a mask of its own, 255 where it is, in masks/CLASS/")
    console.print(f"masks     {output / 'masks'}\noverlays  {output / 'overlays'}")
