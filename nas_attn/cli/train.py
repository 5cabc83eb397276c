"""Train an architecture in full, with Lightning, and test it.

The same command goes on where a stopped training was; a finished one is only read. The folder of the run
(by default runs/ARCHITECTURE-DATA) gets weights.safetensors (the best epoch's), architecture.yaml, metrics.json,
curve.csv, tensorboard/ and checkpoints/.

  nas-attn train best.yaml --data FOLDER
  nas-attn train best.yaml --data FOLDER --against-plain
  nas-attn train best.yaml --data FOLDER --json
  tensorboard --logdir runs
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.cli._console import wide_console
from nas_attn.cli._fit_report import FitReporter, show_result
from nas_attn.cli._flags import add_accelerator, add_settings, flag_values
from nas_attn.cli._output import check_folder
from nas_attn.cli._say import say
from nas_attn.commands import command
from nas_attn.losses import ASKED
from nas_attn.printable import plain_name
from nas_attn.wording.numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.data import Dataset
    from nas_attn.training.full import FitResult, FitSettings


_SETTINGS = ("data", "seed", "batch_size", "longest_side", *ASKED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "architecture", type=Path, metavar="ARCHITECTURE", help=f"file that '{command('export')}' wrote"
    )
    add_settings(
        parser,
        _SETTINGS,
        required=("data",),
        defaults={"batch_size": "16", "longest_side": "full"} | dict.fromkeys(ASKED, "that of the search"),
    )
    add_accelerator(parser)
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="passes over the training images [3000 steps' worth]"
    )
    parser.add_argument(
        "--crop", type=int, metavar="PIXELS", help="side of the training crops [256, or the images']"
    )
    parser.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate [that of the search]")
    parser.add_argument("--devices", type=_devices, default=1, metavar="N|auto", help="GPUs or processes [1]")
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without a better IoU [never]"
    )
    parser.add_argument("--against-plain", action="store_true", help="train the baseline too, and compare")
    parser.add_argument(
        "--logger", metavar="NAME", help="also log the epochs: tensorboard | csv | wandb | mlflow [none]"
    )
    parser.add_argument("--json", action="store_true", help="scores, paths and seconds as one object, at the end")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="of the run [runs/ARCHITECTURE-DATA]")


def run(arguments: argparse.Namespace) -> int:
    """Train, test, show."""
    from nas_attn.architecture import read_architecture
    from nas_attn.data.readers import read_data
    from nas_attn.models.catalogue import catalogue
    from nas_attn.training.full import train
    from nas_attn.training.full.loggers import check_logger, logged
    from nas_attn.wording.placements import describe

    settings = _settings(arguments)
    if arguments.logger is not None:
        check_logger(arguments.logger)
    if arguments.output is not None:
        check_folder(arguments.output)
    architecture = read_architecture(arguments.architecture, catalogue())
    dataset = read_data(arguments.data, architecture.image_size, longest_side=settings.longest_side)
    output = arguments.output or Path("runs") / f"{arguments.architecture.stem}-{plain_name(dataset.name)}"
    console = _console(quiet=arguments.json)
    console.print(f"architecture  {describe(architecture.placement)}")
    console.print(f"data          {_in_words(dataset)}")
    console.print(f"folder        {output}")
    try:
        with FitReporter(console) as reporter, logged(arguments.logger, output, reporter) as report:
            result = train(architecture, dataset, settings, output, report=report)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        raise
    if arguments.json and _is_chief():
        say(_json(result, output))
    show_result(result, output, console)
    return 0


def _json(result: FitResult, output: Path) -> str:
    from nas_attn.training.full.run_folder import RunFolder

    networks = [one for one in (result.trained, result.plain) if one is not None]
    found = {
        **result.to_dict(),
        "folder": str(output),
        "weights": str(result.weights),
        "metrics": str(RunFolder(output).metrics),
        "seconds": sum(one.seconds for one in networks),
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _console(*, quiet: bool) -> Console:
    """Where to speak; of several processes that train together only the first does."""
    return wide_console(soft_wrap=True, quiet=quiet or not _is_chief())


def _is_chief() -> bool:
    from nas_attn.training.full.lightning_shell import is_chief

    return is_chief()


def _settings(arguments: argparse.Namespace) -> FitSettings:
    from nas_attn.training.full import FitSettings

    given = flag_values(arguments, _SETTINGS)
    del given["data"]
    if given.get("longest_side") == "full":
        del given["longest_side"]
    if arguments.lr is not None:
        given["learning_rate"] = arguments.lr
    return FitSettings(
        epochs=arguments.epochs,
        crop=arguments.crop,
        patience=arguments.patience,
        accelerator=arguments.accelerator,
        devices=arguments.devices,
        against_plain=arguments.against_plain,
        **given,  # type: ignore[arg-type]  # FitSettings judges each
    )


def _devices(text: str) -> int | None:
    """A number; None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no number of devices; give such as 2, or auto")
    return int(text)


def _in_words(dataset: Dataset) -> str:
    channels = counted(dataset.in_channels, "channel")
    counts = " / ".join(str(len(split)) for split in (dataset.train, dataset.val, dataset.test))
    images = f"{counts} {dataset.units} to train / validate / test"
    return f"{dataset.name}: {images}, {channels}, {len(dataset.classes)} classes"
