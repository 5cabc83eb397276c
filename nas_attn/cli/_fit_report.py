"""What 'nas-attn train' says while it trains and when it is done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from nas_attn.commands import command
from nas_attn.reporting.terminal.tables import add_numbers
from nas_attn.wording.numbers import duration

if TYPE_CHECKING:
    from nas_attn.training.full import Announcement, EpochRecord, FitResult, StepRecord
    from nas_attn.training.full.plan import FitPlan


class FitReporter:
    """Prints what a training announces and a line for each of its epochs; on a terminal also every step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("", spinner="line")
        self._plan: FitPlan | None = None
        self._first = True

    def __enter__(self) -> FitReporter:
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
            self._console.print(f"going on after epoch {record.epoch - 1}")
        self._first = False
        self._status.stop()
        self._console.print(
            f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  train loss {record.train_loss:.4f}  "
            f"val loss {record.val_loss:.4f}  val IoU x100 {100 * record.val_iou:.2f} "
            f"(best {100 * record.best_val_iou:.2f})  {record.seconds:.1f} s, "
            f"about {duration((epochs - record.epoch) * record.seconds)} left"
        )


def show_result(result: FitResult, output: Path, console: Console) -> None:
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
        f"\nOne seed (here {seed}) is one seed: with another, such a difference can change by a point or more, "
        f"and its sign with it.\nBefore you rely on it, repeat with --seed {seed + 1}, {seed + 2} and another -o."
    )


def _hundredths(iou: float | None) -> str:
    return "not in the masks" if iou is None else f"{100 * iou:.2f}"


def _difference(iou: float | None, other: float | None) -> str:
    return "" if iou is None or other is None else f"{100 * (iou - other):+.2f}"
