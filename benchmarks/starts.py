"""What the defaults of widths, starts and the first answer are worth: old against new, paired by seed.

Each attention stands everywhere it may, in complete runs of a built-in task or of a folder. Old are the
published widths and starts, a coarse gating signal, and a head whose bias is drawn; paper is the published start
alone and identity a start that is faded in, all else as new; new is what the library does where nobody says
otherwise. A class is lost where its IoU is below 10. A hidden unit is dead where what its rectifier gives has no
gradient for any validation image after training (``ca`` has a hard swish, which ends below -3); an attention is
dead where all of its units are. Each run is a line of JSON in ``--out``, and what is there is not run again.

    python benchmarks/starts.py --out starts.jsonl
    python benchmarks/starts.py --out starts.jsonl --base-channels 32 --steps 60
    python benchmarks/starts.py --out starts.jsonl --data path/to/folder --steps 450 --attention plain,cbam
    python benchmarks/starts.py --out starts.jsonl --defaults paper,new --attention se,cbam
    python benchmarks/starts.py --out starts.jsonl --table
    python benchmarks/starts.py --out starts.jsonl --table --against identity
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from kept_runs import keeping_parser, train_and_print
from scipy.stats import t as student_t
from torch import nn

from nas_attn.budget import Budget
from nas_attn.config.settings import BUILT_IN, SYNTHETIC
from nas_attn.errors import SpaceError, did_you_mean
from nas_attn.models.attention._perceptron import ChannelPerceptron
from nas_attn.models.attention.bam import BottleneckAttention
from nas_attn.models.attention.ca import CoordinateAttention
from nas_attn.models.attention.dynamic import DynamicConvolution
from nas_attn.models.attention.sk import SelectiveKernel
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import Network
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, Placement
from nas_attn.study.setup.preset import CPU_SYNTHETIC, Preset, preset_for
from nas_attn.training import Recipe
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

LOST = 0.1
"""IoU below which a class counts as lost."""
PLAIN = "plain"
THE_EIGHT = (PLAIN, "se", "eca", "cbam", "scse", "ca", "gate", "pam")
PUBLISHED = {"start": "paper", "min_hidden": 1, "signal": "coarse"}
"""Options with which a kind is as it was; ``ca`` has a least width of its authors'."""
OLD, START_OF_PAPER, START_AT_IDENTITY, NEW = DEFAULTS = ("old", "paper", "identity", "new")
HARD_SWISH_ENDS = -3.0
COLUMNS = (
    *("data", "C", "rate", "steps", "attention", "compared", "runs", "IoU, of it", "{0}", "{0} - it"),
    *("class lost, of it", "{0}", "dead, of it", "{0}", "dead units, of it", "{0}"),
)


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        data: the name of the set.
        base_channels: of the network.
        share: of the recipe's peak learning rate.
        steps: of the run.
        attention: everywhere it may stand.
        defaults: old, paper, identity or new.
        seed: of the run; runs of one seed are a pair.
        iou: mean IoU of the validation images.
        lowest: IoU of the worst class.
        dead: modules without a living hidden unit, and of how many; 0 of 0 for those without a hidden layer.
        units: dead hidden units, and of how many.
    """

    data: str
    base_channels: int
    share: float
    steps: int
    attention: str
    defaults: str
    seed: int
    iou: float
    lowest: float
    dead: tuple[int, int]
    units: tuple[int, int]

    @property
    def key(self) -> tuple[object, ...]:
        """All but what was found."""
        return (*self.group, self.defaults, self.seed)

    @property
    def group(self) -> tuple[object, ...]:
        """What a row of the table has in common."""
        return (self.data, self.base_channels, self.share, self.steps, self.attention)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, and print the table."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return train_and_print(
        asked,
        lambda dead, units, **others: Run(dead=tuple(dead), units=tuple(units), **others),
        lambda runs: _new_runs(asked, {run.key for run in runs}),
        lambda runs: _table(runs, asked.against),
    )


def _parser() -> argparse.ArgumentParser:
    parser = keeping_parser(__doc__)
    parser.add_argument("--data", default=SYNTHETIC, help="a built-in task, or a folder (%(default)s)")
    parser.add_argument("--attention", default=",".join(THE_EIGHT), metavar="KINDS", help="which (%(default)s)")
    parser.add_argument("--defaults", default="old,new", help=f"which of {', '.join(DEFAULTS)} (%(default)s)")
    parser.add_argument(
        "--against", default=NEW, choices=DEFAULTS, help="what the others are compared with (%(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=4, help="runs of each (%(default)s)")
    parser.add_argument("--base-channels", type=int, default=CPU_SYNTHETIC.base_channels, help="C (%(default)s)")
    parser.add_argument("--steps", type=int, default=CPU_SYNTHETIC.steps, help="of a run (%(default)s)")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the recipe's peak learning rate (%(default)s)"
    )
    return parser


def _new_runs(asked: argparse.Namespace, known: set[tuple[object, ...]]) -> Iterator[Run]:
    preset = preset_for("cpu", asked.data)
    budget = Budget(asked.steps, preset.image_size, preset.batch_size)
    peak = asked.share * Recipe().peak_learning_rate
    recipes = {name: Recipe(peak_learning_rate=peak, class_prior=name != OLD) for name in DEFAULTS}
    usual = evaluator_of(asked.data, preset, asked.base_channels)
    evaluators = {name: replace(usual, recipe=recipe) for name, recipe in recipes.items()}
    name = name_of(asked.data)
    for seed in range(asked.seeds):
        for attention in asked.attention.split(","):
            for defaults in asked.defaults.split(","):
                run = Run(
                    name,
                    asked.base_channels,
                    asked.share,
                    asked.steps,
                    attention,
                    defaults,
                    seed,
                    0.0,
                    0.0,
                    (0, 0),
                    (0, 0),
                )
                if run.key not in known:
                    placement = everywhere(attention, usual.network, defaults)
                    yield _measured(run, evaluators[defaults], placement, budget)


def evaluator_of(data: str, preset: Preset, base_channels: int) -> TrainingEvaluator:
    """Who trains the plain network of a search, or one with attention, on a folder or a built-in task."""
    source = source_of(data, preset)
    dataset = source.load()
    network = UNetConfig(
        dataset.in_channels, len(dataset.classes), depth=preset.depth, base_channels=base_channels
    )
    return TrainingEvaluator(network, source)


def source_of(data: str, preset: Preset) -> DataSource:
    """A folder or a built-in task, as a preset has it."""
    built_in = data in BUILT_IN
    return DataSource(
        folder=None if built_in else data,
        longest_side=preset.longest_side,
        image_size=preset.image_size,
        n_train=preset.n_train,
        n_val=preset.n_val,
        task=data if built_in else SYNTHETIC,
    )


def name_of(data: str) -> str:
    """What a built-in task or a folder is called in a table."""
    return data if data in BUILT_IN else Path(data).name


def _measured(run: Run, evaluator: TrainingEvaluator, placement: Placement, budget: Budget) -> Run:
    module = evaluator.trained(placement, budget, run.seed)
    score = evaluator.score(module)
    lowest = min(iou for iou in score.iou_per_class if iou is not None)
    alive = _alive(module, evaluator)
    dead = sum(not fires.any() for fires in alive.values()), len(alive)
    units = sum(int((~fires).sum()) for fires in alive.values()), sum(fires.numel() for fires in alive.values())
    return replace(run, iou=score.iou, lowest=lowest, dead=dead, units=units)


def _alive(module: nn.Module, evaluator: TrainingEvaluator) -> Mapping[str, torch.Tensor]:
    """Of each hidden layer which of its units have a gradient for a validation image at least."""
    alive: dict[str, torch.Tensor] = {}

    def note(name: str, hidden: torch.Tensor, floor: float, dim: int) -> None:
        found = (hidden > floor).movedim(dim, -1).flatten(0, -2).any(0)
        alive[name] = alive[name] | found if name in alive else found

    hooks = [
        layer.register_forward_hook(
            lambda _, __, hidden, name=name, floor=floor, dim=dim: note(name, hidden, floor, dim)
        )
        for name, (layer, floor, dim) in _hidden_layers(module)
    ]
    if hooks:
        evaluator.score(module)
    for hook in hooks:
        hook.remove()
    return alive


def _hidden_layers(module: nn.Module) -> Iterator[tuple[str, tuple[nn.Module, float, int]]]:
    """What gives the input of a hidden layer's rectifier, below which value this is flat, and where units lie."""
    for name, child in module.named_modules():
        if isinstance(child, ChannelPerceptron | DynamicConvolution):
            yield name, (child.squeeze, 0.0, -1)
        elif isinstance(child, CoordinateAttention):
            yield name, (child.norm, HARD_SWISH_ENDS, 1)
        elif isinstance(child, SelectiveKernel):
            yield name, (child.norm, 0.0, 1)
        elif isinstance(child, BottleneckAttention):
            for branch in ("channel", "position"):
                layers = list(getattr(child, branch))
                for place, (before, after) in enumerate(itertools.pairwise(layers)):
                    if isinstance(after, nn.ReLU):
                        yield f"{name}.{branch}.{place}", (before, 0.0, 1)


def everywhere(attention: str, network: Network, defaults: str) -> Placement:
    """An attention everywhere it may stand, with one of ``DEFAULTS``.

    Raises:
        SpaceError: there is no such attention.
    """
    kinds = catalogue()
    if attention == PLAIN:
        return network.plain
    if attention not in kinds:
        raise SpaceError(f"--attention: unknown attention '{attention}'; {did_you_mean(attention, kinds)}")
    kind = kinds[attention]
    known = {option.name for option in kind.all_options}
    options = {name: value for name, value in PUBLISHED.items() if name in known}
    if attention == "ca":
        del options["min_hidden"]
    if kind.starts_as_identity:
        del options["start"]
    chosen = "start" in options and defaults in (START_OF_PAPER, START_AT_IDENTITY)
    spec = kind.spec(options if defaults == OLD else {"start": defaults} if chosen else {})
    return Placement.of({at: spec if at.stage in kind.stages else NONE for at in network.locations})


def _table(runs: list[Run], reference: str) -> Iterator[str]:
    """In Markdown, a row for each attention in each setting."""
    rows: dict[tuple[object, ...], dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        rows[run.group][run.defaults][run.seed] = run
    yield f"| {' | '.join(COLUMNS)} |".format(reference)
    yield f"|{' --- |' * len(COLUMNS)}"
    for group, found in rows.items():
        for compared in DEFAULTS:
            if compared in found and compared != reference:
                yield f"| {' | '.join(_cells(group, compared, found[compared], found.get(reference, {})))} |"


def _cells(group: tuple[object, ...], compared: str, one: dict[int, Run], other: dict[int, Run]) -> list[str]:
    data, channels, share, steps, attention = group
    pairs = [100 * (other[seed].iou - one[seed].iou) for seed in one.keys() & other.keys()]
    setting = [data, channels, f"{share}x", steps, attention, compared, f"{len(one)}, {len(other)}"]
    cells = [_iou(one), _iou(other), _difference(pairs), _lost(one), _lost(other)]
    dead = [_share([run.dead for run in runs.values()]) for runs in (one, other)]
    units = [_share([run.units for run in runs.values()]) for runs in (one, other)]
    return [*map(str, setting), *cells, *dead, *units]


def _iou(runs: dict[int, Run]) -> str:
    return f"{100 * statistics.fmean(run.iou for run in runs.values()):.1f}" if runs else "-"


def _difference(pairs: list[float]) -> str:
    if not pairs:
        return "-"
    if len(pairs) == 1:
        return f"{pairs[0]:+.1f}"
    half = student_t.ppf(0.975, len(pairs) - 1) * statistics.stdev(pairs) / math.sqrt(len(pairs))
    return f"{statistics.fmean(pairs):+.1f} ±{half:.1f}"


def _lost(runs: dict[int, Run]) -> str:
    return f"{sum(run.lowest < LOST for run in runs.values())} of {len(runs)}" if runs else "-"


def _share(counts: list[tuple[int, int]]) -> str:
    some, all_ = (sum(count[place] for count in counts) for place in (0, 1))
    return f"{some} of {all_}" if all_ else "-"


if __name__ == "__main__":
    sys.exit(main())
