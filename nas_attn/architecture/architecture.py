"""An architecture as a value: everything that is needed to build it again, and why it was chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from nas_attn.analysis import Interval, RankedPlacement
from nas_attn.analysis.verification import Verdict, Verification
from nas_attn.budget import Budget
from nas_attn.config.settings import Foreground, Loss, MetricName
from nas_attn.document import Read, shown
from nas_attn.errors import ExportError
from nas_attn.latencies import LatencyTable
from nas_attn.losses import CE_DICE, weight_problem
from nas_attn.metric import MEAN_IOU
from nas_attn.models.described_network import Network
from nas_attn.models.placement import Placement
from nas_attn.printable import name_problem
from nas_attn.wording.verifications import unverified_sentence, verify_command

FORMAT = 1


def _interval(value: object) -> Interval:
    numbers = value if isinstance(value, list) and all(type(one) in (int, float) for one in value) else []
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ValueError(f"must be two numbers, the lower first, not {shown(value)}")
    return Interval(*numbers)


_Interval = Annotated[Interval, Read(_interval, "two numbers, the lower first")]


@dataclass(frozen=True)
class Found:
    """How an architecture was found.

    Args:
        study: name of the study.
        space: name of the search space.
        strategy: name of the strategy.
        trials: number of complete trials of the study.
        budget: of the runs that determined its rank.
        seeds: of these runs.
        data: name of the data set.
        data_fingerprint: of the data set.
        device: on which it was trained and measured.
        version: of nas-attn.
        date: of the export, as YYYY-MM-DD.
        converged: whether the budget was long enough to resolve differences that matter; None if that is not
            known.
        loss: name of the loss of its runs.
        class_weights: of each class in the loss; empty if all had the same weight.
        foreground: share of its training crops that were centred on foreground.
        folds: number of folds of the training and validation images; 1 if the data's own split was used.
        metric: name of the metric of the search; the values called iou below are values of this metric.
    """

    study: str
    space: str
    strategy: str
    trials: Annotated[int, Ge(0)]
    budget: Budget
    seeds: tuple[Annotated[int, Ge(0)], ...]
    data: str
    data_fingerprint: str
    device: str
    version: str
    date: str
    converged: bool | None = None
    loss: Loss = CE_DICE
    class_weights: tuple[Annotated[float, Gt(0)], ...] = ()
    foreground: Foreground = 0.0
    folds: Annotated[int, Ge(1)] = 1
    metric: MetricName = MEAN_IOU


@dataclass(frozen=True)
class Results:
    """What the search measured of an architecture on the validation set; IoU is a fraction of 1.

    Args:
        rank: in the study, from 1.
        iou_mean: over the seeds.
        iou_interval: confidence interval of it; None if it is not known.
        delta: mean paired difference to the baseline; None if it is not known.
        delta_interval: confidence interval of it; None if it is not known.
        n_seeds: number of seeds for these values.
        macs: of the forward pass of one image.
        parameters: number of trainable parameters.
        latency_ms: of the forward pass of one image; None if it was not measured.
        peak_memory_mib: of a training step; None if it was not measured.
        latency_ratio: of the latency to the baseline's, timed together; None if they were not.
        latency_device: on which they were timed; empty if they were not.
    """

    rank: Annotated[int, Ge(1)]
    iou_mean: float
    iou_interval: _Interval | None
    delta: float | None
    delta_interval: _Interval | None
    n_seeds: Annotated[int, Ge(1)]
    macs: Annotated[int, Ge(0)]
    parameters: Annotated[int, Ge(0)]
    latency_ms: float | None = None
    peak_memory_mib: float | None = None
    latency_ratio: float | None = None
    latency_device: str = ""

    @classmethod
    def of(cls, row: RankedPlacement, latencies: LatencyTable | None = None) -> Results:
        """The results of a placement in a ranking.

        Args:
            row: of the ranking.
            latencies: of the ranking.
        """
        timed = None if latencies is None else latencies.of(row.placement)
        return cls(
            rank=row.rank,
            iou_mean=row.iou_mean,
            iou_interval=row.iou_interval,
            delta=row.delta,
            delta_interval=row.delta_interval,
            n_seeds=row.n_seeds,
            macs=row.cost.macs,
            parameters=row.cost.parameters,
            latency_ms=row.cost.latency_ms,
            peak_memory_mib=row.cost.peak_memory_mib,
            latency_ratio=None if timed is None else timed.ratio,
            latency_device="" if timed is None or latencies is None else latencies.device,
        )


@dataclass(frozen=True)
class Verified:
    """Result of a verification of the gain over the baseline, with fresh seeds on the test data; IoU is a fraction
    of 1.

    Args:
        verdict: on the claim that the architecture is better than the baseline.
        iou: mean over the seeds, on the test data.
        iou_baseline: likewise, of the baseline.
        delta: mean paired difference to the baseline; None if they share no seed.
        delta_interval: confidence interval of it; None if it is not known.
        n_seeds: number of seeds for the difference.
        n_looks: number of placements of the study that were evaluated on the test data so far.
        collapsed: number of the architecture's runs that collapsed; they are left out of all other values.
    """

    verdict: Verdict
    iou: float
    iou_baseline: float
    delta: float | None
    delta_interval: _Interval | None
    n_seeds: Annotated[int, Ge(0)]
    n_looks: Annotated[int, Ge(1)]
    collapsed: Annotated[int, Ge(0)] = 0

    @classmethod
    def of(cls, verification: Verification, n_looks: int) -> Verified | None:
        """The result of a verification; None if a run of one of the two is missing."""
        if verification.iou is None:
            return None
        to_baseline = verification.to_baseline
        return cls(
            verdict=verification.verdict,
            iou=verification.iou[0],
            iou_baseline=verification.iou[1],
            delta=to_baseline.delta if to_baseline else None,
            delta_interval=to_baseline.interval if to_baseline else None,
            n_seeds=to_baseline.n_seeds if to_baseline else 0,
            n_looks=n_looks,
            collapsed=winner.number if (winner := verification.collapsed.get("winner")) else 0,
        )


@dataclass(frozen=True)
class Architecture:
    """A network with its attention, its input and output, and its origin.

    Args:
        network: without its attention.
        placement: one attention for every location of the network.
        classes: names of the classes, in the order of their indices.
        mean: of each input channel, in pixel units.
        std: of each input channel, in pixel units; above 0.
        image_size: side of the square crops of the search, in pixels.
        found: how it was found; None if it was written by hand.
        results: of the search; None if there are none.
        verified: result of a verification; None if there was none.
        multi_label: whether the classes may overlap, so that each score has a sigmoid of its own.
    Raises:
        ExportError: the parts do not fit together; all problems are reported.
    """

    network: Network
    placement: Placement
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    found: Found | None = None
    results: Results | None = None
    verified: Verified | None = None
    multi_label: bool = False

    def __post_init__(self) -> None:
        fit = input_problems(self.network, self.classes, self.mean, self.std, self.image_size)
        problems = [
            *_placement_problems(self.network, self.placement),
            *(f"{name}: {problem}" for name, problem in fit),
        ]
        if self.found and (problem := weight_problem(self.found.class_weights, self.classes)):
            problems.append(f"found.class_weights: {problem}")
        if problems := [*problems, *_text_problems(self)]:
            raise ExportError(problems)

    @property
    def unverified(self) -> str:
        """That its gain was not verified, and how to verify it; empty if it was, or if no study found it."""
        if self.found is None or self.results is None or self.verified or not self.placement.attended:
            return ""
        return unverified_sentence(verify_command(self.found.study, self.placement))


def input_problems(
    network: Network, classes: tuple[str, ...], mean: tuple[float, ...], std: tuple[float, ...], image_size: int
) -> list[tuple[str, str]]:
    """Where the network does not fit its input and output, as (field, problem) pairs."""
    found = []
    if len(classes) != network.classes:
        found.append(("classes", f"{len(classes)} class names for a network of {network.classes} classes"))
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != network.in_channels:
            problem = f"{len(values)} values for a network of {network.in_channels} input channels"
            found.append((name, problem))
        if not all(math.isfinite(value) and (value > 0 or name == "mean") for value in values):
            found.append((name, f"must be finite numbers{' above 0' if name == 'std' else ''}"))
    if image_size < network.min_image_size:
        problem = f"is {image_size}; {network.title} needs at least {network.min_image_size}"
        found.append(("image_size", problem))
    return found


def _placement_problems(network: Network, placement: Placement) -> list[str]:
    given = [location for location, _ in placement]
    found = []
    if missing := [str(location) for location in network.locations if location not in given]:
        found.append(f"the placement gives no attention for {', '.join(missing)}; write none for no attention")
    if unknown := [str(location) for location in given if location not in network.locations]:
        found.append(f"{network.title} has no location {', '.join(unknown)}")
    return found


def _text_problems(architecture: Architecture) -> list[str]:
    texts = [("classes", name) for name in architecture.classes]
    if architecture.found:
        texts += [(name, text) for name, text in vars(architecture.found).items() if isinstance(text, str)]
    unseen = [(field, text) for field, text in texts if not text.isprintable()]
    return [f"{field}: {name_problem(text)}" for field, text in unseen]
