"""A table of real runs: the IoU of every placement of a small space, for each of a few budgets and seeds."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_attn.errors import UsageError

Key = tuple[int, int, int, int]
"""Number of the placement in its space's own order, steps, steps of the plain U-Net that it starts from, seed."""


@dataclass(frozen=True)
class Cell:
    """One run.

    Args:
        placement: its number in the space's own order.
        steps: of the run.
        pretraining: steps of the plain U-Net's run that it starts from; 0 from scratch.
        seed: of the run.
        iou: on the validation images.
    """

    placement: int
    steps: int
    pretraining: int
    seed: int
    iou: float

    @property
    def key(self) -> Key:
        """What identifies it."""
        return self.placement, self.steps, self.pretraining, self.seed


@dataclass(frozen=True)
class Table:
    """A space, evaluated.

    Args:
        ious: of every run.
        steps: budgets, the shortest first.
        seeds: with which every placement has run for the longest.
        short_seeds: those with which every placement has run for the others, too.
    """

    ious: Mapping[Key, float]
    steps: tuple[int, ...]
    seeds: tuple[int, ...]
    short_seeds: tuple[int, ...]

    @classmethod
    def read(cls, path: Path, size: int) -> Table:
        """Only seeds that every placement has for the longest budget are taken.

        Args:
            path: of a table that ``fill_table.py`` has written.
            size: how many placements the space has.
        Raises:
            UsageError: fewer than two seeds are complete.
        """
        cells = read_cells(path)
        steps = tuple(sorted({cell.steps for cell in cells}))
        budgets = {(cell.steps, cell.pretraining) for cell in cells}
        runs = Counter(cell.seed for cell in cells)
        long = Counter(cell.seed for cell in cells if (cell.steps, cell.pretraining) == (steps[-1], 0))
        complete = tuple(seed for seed in sorted(long) if long[seed] == size)
        if len(complete) < 2:
            raise UsageError(
                f"{path}: {len(complete)} seeds are there of all {size} placements, and 2 are needed; go on with "
                "fill_table.py"
            )
        short = tuple(seed for seed in complete if runs[seed] == size * len(budgets))
        return cls({cell.key: cell.iou for cell in cells}, steps, complete, short)


def read_cells(path: Path) -> list[Cell]:
    """Every run of a table; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [_cell(line) for line in csv.DictReader(file)]


def append_cells(path: Path, cells: Sequence[Cell]) -> None:
    """Write further runs down."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(("placement", "steps", "pretraining", "seed", "iou"))
        writer.writerows((*cell.key, f"{cell.iou:.5f}") for cell in cells)


def _cell(line: Mapping[str, str]) -> Cell:
    placement, steps, pretraining, seed = (
        int(line[name]) for name in ("placement", "steps", "pretraining", "seed")
    )
    return Cell(placement, steps, pretraining, seed, float(line["iou"]))
