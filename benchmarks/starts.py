"""What the defaults of widths, starts and the first answer are worth: old against new, paired by seed.

Each attention stands everywhere it may, in complete runs of the built-in task or of a folder. Old are the
published widths and starts, a coarse gating signal, and a head whose bias is drawn; new is what the library does
where nobody says otherwise. A class is lost where its IoU is below 10; an attention is dead where no hidden unit
of its perceptron fires for any validation image after training. Each run is a line of JSON in ``--out``, and what
is there is not run again.

    python benchmarks/starts.py --out starts.jsonl
    python benchmarks/starts.py --out starts.jsonl --base-channels 32 --steps 60 --seeds 2
    python benchmarks/starts.py --out starts.jsonl --data path/to/folder --steps 450 --attention plain,cbam
    python benchmarks/starts.py --out starts.jsonl --table
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.data import Dataset
from nas_attn.errors import NasAttnError, SpaceError, did_you_mean
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, Placement
from nas_attn.study.setup.preset import CPU_FOLDER, CPU_SYNTHETIC
from nas_attn.training import Recipe
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

LOST = 0.1
"""IoU below which a class counts as lost."""
PLAIN = "plain"
THE_EIGHT = (PLAIN, "se", "eca", "cbam", "scse", "ca", "gate", "pam")
PUBLISHED = {"start": "paper", "min_hidden": 1, "signal": "coarse"}
"""Options with which a kind is as it was; ``ca`` has a least width of its authors'."""
COLUMNS = (
    *("data", "C", "rate", "steps", "attention", "runs", "IoU, old", "new", "new - old"),
    *("class lost, old", "new", "dead, old", "new"),
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
        defaults: old or new.
        seed: of the run; runs of one seed are a pair.
        iou: mean IoU of the validation images.
        lowest: IoU of the worst class.
        dead: modules of which no hidden unit fires, and of how many; 0 of 0 for those without a perceptron.
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
    out = Path(asked.out)
    try:
        runs = {run.key: run for run in _read(out)}
        if not asked.table:
            for run in _new_runs(asked, set(runs)):
                runs[run.key] = run
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(run)) + "\n")
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in _table(list(runs.values())):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE", help="where the runs are kept, a line each")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--data", metavar="FOLDER", help="images and masks; the built-in task where left out")
    parser.add_argument("--attention", default=",".join(THE_EIGHT), metavar="KINDS", help="which (%(default)s)")
    parser.add_argument("--defaults", default="old,new", help="which (%(default)s)")
    parser.add_argument("--seeds", type=int, default=4, help="runs of each (%(default)s)")
    parser.add_argument("--base-channels", type=int, default=CPU_SYNTHETIC.base_channels, help="C (%(default)s)")
    parser.add_argument("--steps", type=int, default=CPU_SYNTHETIC.steps, help="of a run (%(default)s)")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the recipe's peak learning rate (%(default)s)"
    )
    return parser


def _read(path: Path) -> list[Run]:
    if not path.exists():
        return []
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Run(**{**one, "dead": tuple(one["dead"])}) for one in found]


def _new_runs(asked: argparse.Namespace, known: set[tuple[object, ...]]) -> Iterator[Run]:
    preset = CPU_FOLDER if asked.data else CPU_SYNTHETIC
    source = DataSource(
        folder=asked.data,
        longest_side=preset.longest_side,
        image_size=preset.image_size,
        n_train=preset.n_train,
        n_val=preset.n_val,
    )
    data = source.load()
    network = UNetConfig(data.in_channels, len(data.classes), depth=4, base_channels=asked.base_channels)
    budget = Budget(asked.steps, preset.image_size, preset.batch_size)
    peak = asked.share * Recipe().peak_learning_rate
    recipes = {"old": Recipe(peak_learning_rate=peak, class_prior=False), "new": Recipe(peak_learning_rate=peak)}
    evaluators = {name: TrainingEvaluator(network, source, recipe=recipe) for name, recipe in recipes.items()}
    name = Path(asked.data).name if asked.data else "built-in"
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
                )
                if run.key not in known:
                    placement = _everywhere(attention, network, defaults)
                    yield _measured(run, evaluators[defaults], placement, budget, data)


def _measured(run: Run, evaluator: TrainingEvaluator, placement: Placement, budget: Budget, data: Dataset) -> Run:
    module = evaluator.trained(placement, budget, run.seed)
    score = evaluator.score(module)
    lowest = min(iou for iou in score.iou_per_class if iou is not None)
    return replace(run, iou=score.iou, lowest=lowest, dead=_dead(module, evaluator, data))


def _dead(module: nn.Module, evaluator: TrainingEvaluator, data: Dataset) -> tuple[int, int]:
    """Perceptrons of which no hidden unit fires for any validation image, and how many there are."""
    fired: dict[str, bool] = {}

    def note(name: str, hidden: torch.Tensor) -> None:
        fired[name] = fired.get(name, False) or bool((hidden > 0).any())

    hooks = [
        layer.register_forward_hook(lambda _, __, hidden, name=name: note(name, hidden))
        for name, layer in module.named_modules()
        if name.endswith("perceptron.squeeze")
    ]
    if hooks:
        evaluator.score(module)
    for hook in hooks:
        hook.remove()
    return sum(not fires for fires in fired.values()), len(fired)


def _everywhere(attention: str, network: UNetConfig, defaults: str) -> Placement:
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
    spec = kind.spec(options if defaults == "old" else {})
    return Placement.of({at: spec if at.stage in kind.stages else NONE for at in network.locations})


def _table(runs: list[Run]) -> Iterator[str]:
    """In Markdown, a row for each attention in each setting."""
    rows: dict[tuple[object, ...], dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        rows[run.group][run.defaults][run.seed] = run
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for (data, channels, share, steps, attention), found in rows.items():
        old, new = found.get("old", {}), found.get("new", {})
        pairs = [100 * (new[seed].iou - old[seed].iou) for seed in old.keys() & new.keys()]
        cells = [data, channels, f"{share}x", steps, attention, f"{len(old)}, {len(new)}"]
        cells += [_iou(old), _iou(new), _difference(pairs), _lost(old), _lost(new), _killed(old), _killed(new)]
        yield f"| {' | '.join(map(str, cells))} |"


def _iou(runs: dict[int, Run]) -> str:
    return f"{100 * statistics.fmean(run.iou for run in runs.values()):.1f}" if runs else "-"


def _difference(pairs: list[float]) -> str:
    if not pairs:
        return "-"
    error = f" ±{statistics.stdev(pairs) / math.sqrt(len(pairs)):.1f}" if len(pairs) > 1 else ""
    return f"{statistics.fmean(pairs):+.1f}{error}"


def _lost(runs: dict[int, Run]) -> str:
    return f"{sum(run.lowest < LOST for run in runs.values())} of {len(runs)}" if runs else "-"


def _killed(runs: dict[int, Run]) -> str:
    dead, all_ = (sum(run.dead[place] for run in runs.values()) for place in (0, 1))
    return f"{dead} of {all_}" if all_ else "-"


if __name__ == "__main__":
    sys.exit(main())
