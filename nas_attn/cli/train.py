"""Train an architecture in full, with Lightning, and test it.

The same command resumes a stopped training; a finished one is only read. The folder of the run
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
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nas_attn.cli._console import wide_console
from nas_attn.cli._flags import add_accelerator, add_settings, flag_values
from nas_attn.cli._output import check_folder
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.losses import ASKED
from nas_attn.printable import plain_name
from nas_attn.reporting.terminal.tables import add_numbers
from nas_attn.wording.numbers import counted, duration

if TYPE_CHECKING:
    from nas_attn.data import Dataset
    from nas_attn.training.full import Announcement, EpochRecord, FitResult, FitSettings, StepRecord
    from nas_attn.training.full.plan import FitPlan

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
    parser.add_argument(
        "--json", action="store_true", help="print scores, paths and seconds as one object at the end"
    )
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
        with _Reporter(console) as reporter, logged(arguments.logger, output, reporter) as report:
            result = train(architecture, dataset, settings, output, report=report)
    except KeyboardInterrupt:
        console.print("stopped; the same command resumes")
        raise
    if arguments.json and _is_chief():
        say(_json(result, output))
    _show(result, output, console)
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
    """The console for messages; of several processes that train together, only the first prints."""
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
    """The number of devices; None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of devices; give such as 2, or auto")
    return int(text)


def _in_words(dataset: Dataset) -> str:
    channels = counted(dataset.in_channels, "channel")
    counts = " / ".join(str(len(split)) for split in (dataset.train, dataset.val, dataset.test))
    images = f"{counts} {dataset.units} to train / validate / test"
    return f"{dataset.name}: {images}, {channels}, {len(dataset.classes)} classes"


class _Reporter:
    """Prints the announcements of a training and one line for each epoch; on a terminal also every step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("", spinner="line")
        self._plan: FitPlan | None = None
        self._first = True

    def __enter__(self) -> _Reporter:
        return self

    def __exit__(self, *reason: object) -> None:
        self._status.stop()

    def __call__(self, event: Announcement | StepRecord | EpochRecord) -> None:
        from nas_attn.training.full import Announcement, EpochRecord

        if isinstance(event, Announcement):
            self._plan, self._first = event.plan, True
            network = "the architecture" if event.network == "architecture" else "the baseline"
            self._console.print(f"\ntraining {network}: {event.plan}; {event.hardware}")
            self._console.print(f"loss {event.plan.loss_text}")
        elif isinstance(event, EpochRecord):
            self._epoch(event)
        elif self._console.is_terminal:
            self._step(event)

    def _step(self, record: StepRecord) -> None:
        if self._plan is not None:
            self._status.update(f"epoch {record.epoch}, step {record.step} of {self._plan.steps_per_epoch}")
            self._status.start()

    def _epoch(self, record: EpochRecord) -> None:
        epochs = self._plan.epochs if self._plan is not None else record.epoch
        if self._first and record.epoch > 1:
            self._console.print(f"resuming after epoch {record.epoch - 1}")
        self._first = False
        self._status.stop()
        self._console.print(
            f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  train loss {record.train_loss:.4f}  "
            f"val loss {record.val_loss:.4f}  val IoU x100 {100 * record.val_iou:.2f} "
            f"(best {100 * record.best_val_iou:.2f})  {record.seconds:.1f} s, "
            f"about {duration((epochs - record.epoch) * record.seconds)} left"
        )


def _show(result: FitResult, output: Path, console: Console) -> None:
    """Print the test IoU of each class, and what to do next."""
    trained, plain = result.trained, result.plain
    console.print(
        f"\n{trained.epochs} epochs; the weights are those of epoch {trained.best_epoch}, "
        f"with a validation IoU x100 of {100 * trained.val_iou:.2f}\n"
    )
    table = Table(title="test IoU x100", title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("class", overflow="fold")
    add_numbers(table, "architecture")
    ours = [*trained.test_iou_per_class, trained.test_iou]
    columns: list[Iterable[str]] = [[*result.classes, "mean"], map(_hundredths, ours)]
    if plain is not None:
        add_numbers(table, "baseline", "difference")
        theirs = [*plain.test_iou_per_class, plain.test_iou]
        columns += [map(_hundredths, theirs), map(_difference, ours, theirs)]
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    console.print(table)
    if plain is not None:
        console.print(_caution(result.seed))
    console.print(f"\nweights   {result.weights}\nnumbers   {output / 'metrics.json'}")
    following = command("predict", output / "architecture.yaml", result.weights, "IMAGES", o="predictions")
    console.print(f"next      {following}")


def _caution(seed: int) -> str:
    return (
        f"\nOne seed (here {seed}) is a single seed: with another seed, such a difference can change by a point "
        f"or more, and so change its sign.\nBefore you rely on it, repeat with --seed {seed + 1}, {seed + 2} "
        "and another -o."
    )


def _hundredths(iou: float | None) -> str:
    return "not in the masks" if iou is None else f"{100 * iou:.2f}"


def _difference(iou: float | None, other: float | None) -> str:
    return "" if iou is None or other is None else f"{100 * (iou - other):+.2f}"
