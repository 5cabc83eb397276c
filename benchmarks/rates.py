"""Which learning rates suit a network whose encoder begins with trained weights? Paired by seed.

The plain network of another library is trained by the recipe of a search, for each share of the peak rate that
its encoder learns with, and for each peak. Each run is a line of JSON in ``--out``; what is there is not run
again.

    python benchmarks/rates.py --network smp:Unet/tu-tf_efficientnet_lite0 --weights lite0.safetensors \\
        --data path/to/nuclei --data path/to/leaf --out rates.jsonl
    python benchmarks/rates.py --out rates.jsonl --table
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from kept_runs import keeping_parser, train_and_print
from their_networks import evaluator_in

from nas_attn.budget import Budget
from nas_attn.training.evaluation import DataSource


@dataclass(frozen=True)
class Setting:
    """What a run is trained with.

    Args:
        data: the name of the set.
        peak: learning rate of the decoder at its highest.
        share: of it, with which the encoder learns.
        seed: runs of one seed are a pair.
    """

    data: str
    peak: float
    share: float
    seed: int


@dataclass(frozen=True)
class Run:
    """One run: its setting, and the mean IoU of the validation images."""

    setting: Setting
    iou: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, and print the table."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return train_and_print(
        asked,
        lambda iou, **setting: Run(Setting(**setting), iou),
        lambda runs: _new_runs(asked, {run.setting for run in runs}),
        lambda runs: _table(runs, asked.against),
        lambda run: {**asdict(run.setting), "iou": run.iou},
    )


def _parser() -> argparse.ArgumentParser:
    parser = keeping_parser(__doc__)
    parser.add_argument("--network", default="smp:Unet/tu-tf_efficientnet_lite0", help="(%(default)s)")
    parser.add_argument("--weights", default="imagenet", help="imagenet, or a file (%(default)s)")
    parser.add_argument("--data", action="append", default=[], metavar="FOLDER", help="images and masks")
    parser.add_argument("--peaks", type=_numbers, default=(4e-3, 1e-3), help="learning rates (4e-3,1e-3)")
    parser.add_argument("--shares", type=_numbers, default=(1.0, 0.3, 0.1, 0.03), help="(1,0.3,0.1,0.03)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each (%(default)s)")
    parser.add_argument("--steps", type=int, default=150, help="of a run (%(default)s)")
    parser.add_argument("--image-size", type=int, default=96, help="side of the crops (%(default)s)")
    parser.add_argument("--longest-side", type=int, default=128, help="larger images are shrunk (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="(%(default)s)")
    parser.add_argument(
        "--against", type=_numbers, default=(4e-3, 0.1), help="peak and share to compare with (4e-3,0.1)"
    )
    return parser


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in text.split(","))


def _new_runs(asked: argparse.Namespace, known: set[Setting]) -> Iterator[Run]:
    """A seed after the other over all sets, so that a list cut short has pairs."""
    evaluators = {
        Path(folder).name: evaluator_in(asked.network, DataSource(folder, asked.longest_side), asked.weights)
        for folder in asked.data
    }
    budget = Budget(asked.steps, asked.image_size, asked.batch_size)
    for seed in range(asked.seeds):
        for data, evaluator in evaluators.items():
            for peak in asked.peaks:
                for share in asked.shares:
                    setting = Setting(data, peak, share, seed)
                    if setting not in known:
                        recipe = replace(evaluator.recipe, peak_learning_rate=peak, encoder_share=share)
                        outcome = replace(evaluator, recipe=recipe)(evaluator.network.plain, budget, seed)
                        yield Run(setting, outcome.score.iou)


def _table(runs: Sequence[Run], against: tuple[float, float]) -> Iterator[str]:
    """A row for each peak and share; for each set the mean IoU, and each seed's difference to one setting."""
    found = {run.setting: 100 * run.iou for run in runs}
    sets = list(dict.fromkeys(one.data for one in found))
    less = f"less that of {against[0]:g} and {against[1]:g}, by seed"
    columns = [text for data in sets for text in (f"{data}, IoU", less)]
    yield f"| peak | encoder's share | {' | '.join(columns)} |"
    yield f"|{' --- |' * (2 + len(columns))}"
    for peak, share in dict.fromkeys((one.peak, one.share) for one in found):
        cells = [f"{peak:g}", f"{share:g}"]
        for data in sets:
            mine = [one for one in found if (one.data, one.peak, one.share) == (data, peak, share)]
            base = [found.get(replace(one, peak=against[0], share=against[1])) for one in mine]
            pairs = [found[one] - other for one, other in zip(mine, base, strict=True) if other is not None]
            cells += [f"{statistics.fmean(found[one] for one in mine):.1f}" if mine else "-"]
            cells += [", ".join(f"{pair:+.1f}" for pair in pairs) or "-"]
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
