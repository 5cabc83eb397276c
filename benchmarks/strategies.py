"""Which strategy finds the better front for the same compute.

Searches are looked up, not run: in a table of real runs (``fill_table.py`` makes it), where half of the seeds are
searched and the mean of the other seeds is the truth, or in made-up tasks with effects of single attentions, of
pairs, and noise. Such tasks suit a model of effects and pairs; the table does not know any model.

A strategy is judged by what it would choose: for each ceiling of the MACs the placement with the highest IoU it
has seen, or, where it pools its runs, expects. Figures are the true gain of that over the plain U-Net in IoU
points, averaged over the ceilings, with 95 % intervals over repetitions. Compute is in runs of the top budget.

    python benchmarks/strategies.py --table benchmarks/tables/tabulated.csv --plot strategies.html
    python benchmarks/strategies.py --made-up --strategies additive,tpe,random --interactions 0.6
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from contestants import Contestant, contestants
from games import Found, Game, made_up_game, play, read_table, sized_space, tabulated_game
from scipy.stats import t as student

from nas_attn.errors import NasAttnError, UsageError

_SCALE = ("interactions", "spread", "noise", "luck", "disturbance", "quiet")
_SLOW = {"gp": 12}
"""Strategies whose proposals take long, many seconds after 20 runs, and how many repetitions they get at most."""


@dataclass(frozen=True)
class Point:
    """What a strategy has found after some compute.

    Args:
        strategy: its name.
        compute: spent, in runs of the top budget.
        area: true gain of its choices over the plain U-Net, over all ceilings, in IoU points; mean.
        half: half of that mean's 95 % interval; nan for one repetition.
        gain: true gain of its first choice; mean.
        repetitions: behind the means.
    """

    strategy: str
    compute: float
    area: float
    half: float
    gain: float
    repetitions: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Search and print."""
    asked = _parser().parse_args(arguments)
    points: list[Point] = []
    try:
        known = contestants()
        if unknown := sorted(set(asked.strategies) - set(known)):
            raise UsageError([f"--strategies {name}: one of {', '.join(known)}" for name in unknown])
        most = _n_rungs(asked)
        names = [name for name in asked.strategies if known[name].n_rungs <= most]
        with ProcessPoolExecutor(asked.workers) as workers:
            for name in names:
                numbers = range(min(asked.repetitions, _SLOW.get(name, asked.repetitions)))
                played = list(workers.map(_played, [asked] * len(numbers), [name] * len(numbers), numbers))
                points += _points(name, played)
                if not asked.json:
                    _print_row(name, points, asked.compute, first=name == names[0])
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(point) for point in points], indent=1) if asked.json else _verdict(points))
    if asked.plot:
        _plot(points, asked.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--table", type=Path, help="of real runs")
    task.add_argument("--made-up", action="store_true")
    parser.add_argument("--space", help="name or file; by default that of the table, or unet_attention")
    parser.add_argument("--strategies", type=_names, default=list(contestants()), help=", ".join(contestants()))
    parser.add_argument("--compute", type=_numbers, default=(3, 5, 10, 20, 50, 100, 200), help="where to look")
    parser.add_argument("--repetitions", type=int, default=24)
    parser.add_argument("--interactions", type=float, default=0.3, help="made up: share of variance from pairs")
    parser.add_argument(
        "--spread", type=float, default=0.02, help="made up: standard deviation between placements"
    )
    parser.add_argument("--noise", type=float, default=0.006, help="made up: standard deviation of a run, in IoU")
    parser.add_argument(
        "--luck", type=float, default=0.0, help="made up: that of what attentions gain with a seed, in IoU"
    )
    parser.add_argument(
        "--disturbance", type=float, default=0.0, help="made up: that of what they do to trained weights, in IoU"
    )
    parser.add_argument(
        "--quiet", type=float, default=1.0, help="made up: noise of runs from trained weights, in that of others"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="write a page with the curves")
    parser.add_argument("--json", action="store_true")
    return parser


def _names(text: str) -> list[str]:
    """Names that hold a comma stand between semicolons: ``additive; additive, ladder``."""
    return [name for part in text.split(";" if ";" in text else ",") if (name := part.strip())]


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(sorted(float(part) for part in text.split(",")))


def _played(asked: argparse.Namespace, name: str, number: int) -> Mapping[float, Found]:
    contestant = contestants()[name]
    return play(contestant, _game(asked, number, contestant), asked.compute)


def _n_rungs(asked: argparse.Namespace) -> int:
    """How many short budgets can be looked up; who needs more is left out."""
    return 2 if asked.made_up else len(read_table(asked.table, sized_space(_space(asked))).steps) - 1


def _space(asked: argparse.Namespace) -> str:
    usual = "unet_attention" if asked.made_up else "benchmarks/spaces/tabulated.yaml"
    return asked.space or usual


def _game(asked: argparse.Namespace, number: int, contestant: Contestant) -> Game:
    if asked.made_up:
        space = sized_space(_space(asked))
        scale = {name: getattr(asked, name) for name in _SCALE}
        return made_up_game(space, number, **scale)
    space = sized_space(_space(asked))
    return tabulated_game(space, read_table(asked.table, space), number, n_rungs=contestant.n_rungs)


def _points(name: str, played: Sequence[Mapping[float, Found]]) -> list[Point]:
    points = []
    for compute in played[0]:
        areas = [found[compute].area for found in played]
        gain = statistics.fmean(found[compute].gain for found in played)
        points.append(Point(name, compute, statistics.fmean(areas), _half(areas), gain, len(areas)))
    return points


def _half(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    quantile = float(student.ppf(0.975, len(values) - 1))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def _print_row(name: str, points: Sequence[Point], looks: Sequence[float], *, first: bool) -> None:
    if first:
        print(f"{'compute':<24}" + "".join(f"{look:>14g}" for look in looks))
    own = [point for point in points if point.strategy == name]
    print(f"{name:<24}" + "".join(f"{point.area:>8.2f} ±{point.half:4.2f}" for point in own), flush=True)


def _verdict(points: Sequence[Point]) -> str:
    """The compute at which each strategy has what TPE has at the end, and where it is below chance."""
    curves: dict[str, dict[float, Point]] = {}
    for point in points:
        curves.setdefault(point.strategy, {})[point.compute] = point
    if not {"tpe", "random"} <= curves.keys():
        return ""
    last = max(curves["tpe"])
    goal = curves["tpe"][last].area
    lines = [f"What tpe has after {last:g} ({goal:.2f} points) others reach after:"]
    for name, curve in curves.items():
        reached = next((compute for compute, point in curve.items() if point.area >= goal), None)
        worse = [
            f"{compute:g}"
            for compute, point in curve.items()
            if point.area + point.half < curves["random"][compute].area - curves["random"][compute].half
        ]
        below = f"; surely below random at {', '.join(worse)}" if worse else ""
        lines.append(f"  {name:<24} {'never' if reached is None else f'{reached:g}'}{below}")
    return "\n".join(lines)


def _plot(points: Sequence[Point], path: Path) -> None:
    import plotly.colors as pc
    import plotly.graph_objects as go

    figure = go.Figure()
    names = list(dict.fromkeys(point.strategy for point in points))
    for number, name in enumerate(names):
        own = [point for point in points if point.strategy == name]
        figure.add_scatter(
            x=[point.compute * 1.01 ** (number - len(names) / 2) for point in own],  # intervals side by side
            y=[point.area for point in own],
            error_y={"array": [point.half for point in own], "thickness": 1, "width": 0},
            line={"dash": ("solid", "dot", "dash")[number // len(pc.qualitative.Plotly) % 3]},
            name=name,
        )
    looks = sorted({point.compute for point in points})
    ticks = {"tickvals": looks, "ticktext": [f"{look:g}" for look in looks]}
    figure.update_xaxes(type="log", title="compute, in runs of the top budget", **ticks)
    figure.update_yaxes(title="true gain over the baseline, IoU points")
    figure.write_html(path, include_plotlyjs=True)


if __name__ == "__main__":
    sys.exit(main())
