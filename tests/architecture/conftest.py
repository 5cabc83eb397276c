"""Kinds, architectures and rankings without torch."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest

from nas_attn.analysis import Interval, Ranking, rank
from nas_attn.analysis.verification import Verdict
from nas_attn.architecture import Architecture, Found, Results, Verified
from nas_attn.budget import Budget
from nas_attn.models.kind import GATED_STAGES, AttentionKind, Option
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord

REDUCTION = Option("reduction", 16, "bottleneck ratio", minimum=1)
ALL_KINDS = (
    AttentionKind("none", "No attention", ""),
    AttentionKind("se", "Squeeze-and-Excitation", "Hu et al. 2018", options=(REDUCTION,)),
    AttentionKind(
        "cbam",
        "CBAM",
        "Woo et al. 2018",
        options=(
            REDUCTION,
            Option("kernel_size", 7, "of the spatial part", choices=(3, 7)),
            Option("slope", 0.1, "a number", minimum=0),
            Option("residual", False, "a switch"),
        ),
    ),
    AttentionKind(
        "gate",
        "Attention gate",
        "Oktay et al. 2018",
        stages=GATED_STAGES,
        options=(Option("variant", "common", "which formula", choices=("common", "oktay")),),
        needs_gate=True,
    ),
)
NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=8)


@pytest.fixture(scope="session")
def kinds() -> dict[str, AttentionKind]:
    return {kind.name: kind for kind in ALL_KINDS}


@pytest.fixture(scope="session")
def architecture() -> Architecture:
    placement = NETWORK.plain
    for place, text in (("skip.1", "cbam(reduction=4)"), ("skip.0", "gate(start=identity)"), ("bottleneck", "se")):
        placement = placement.replace(Location.parse(place), AttentionSpec.parse(text))
    return Architecture(
        network=NETWORK,
        placement=placement,
        classes=("background", "nucleus"),
        mean=(120.5, 99.25, 1e-05),
        std=(30.0, 29.5, 2.0),
        image_size=64,
        found=Found(
            converged=True,
            study="nuclei",
            space="unet_attention",
            strategy="tpe",
            trials=200,
            budget=Budget(600, 64, 16, 0.5),
            seeds=(1, 2, 3),
            data="cells: 2nd batch",
            data_fingerprint="00123e4",
            device="NVIDIA H200",
            version="0.1.0",
            date="2026-11-20",
        ),
        results=Results(
            rank=1,
            iou_mean=0.812345678901,
            iou_interval=Interval(0.80, 0.82),
            delta=0.009,
            delta_interval=Interval(0.004, 0.014),
            n_seeds=3,
            macs=2_345_678_901,
            parameters=123_456,
            latency_ms=3.25,
            peak_memory_mib=None,
        ),
        verified=Verified(
            verdict=Verdict.CONFIRMED,
            iou=0.8012345678901,
            iou_baseline=0.79,
            delta=0.0112345678901,
            delta_interval=Interval(0.002, 0.02),
            n_seeds=5,
            n_looks=2,
        ),
    )


@pytest.fixture(scope="session")
def ranked() -> Callable[..., Ranking]:
    """A ranking of (IoU, MACs) pairs, the plain U-Net first; four seeds give a paired noise of about ``noise``
    and each placement the mean that was asked for."""

    def make(*points: tuple[float, int], noise: float | None = None, cost: str = "macs") -> Ranking:
        placements = [NETWORK.plain, *(_variant(number) for number in range(1, len(points)))]
        records = []
        for order, (placement, (iou, macs)) in enumerate(zip(placements, points, strict=True)):
            draws = [random.Random(f"{order} {seed}").gauss(0, 0.7) for seed in range(4)]
            for seed in (0,) if noise is None else range(4):
                wobble = 0.0 if noise is None else noise * (draws[seed] - fmean(draws))
                score = Score(iou + wobble, (iou, iou), 0.1)
                outcome = Outcome(score, Cost(macs * 2, macs), (), 1.0)
                budget = Budget(10, 64, 4)
                number = len(records)
                records.append(
                    TrialRecord(number, placement, budget, seed, Role.PROPOSAL, State.COMPLETE, None, outcome)
                )
        return rank(records, cost=cost)

    return make


def _variant(number: int) -> Placement:
    location = NETWORK.locations[number % len(NETWORK.locations)]
    return NETWORK.plain.replace(location, AttentionSpec("se", (("reduction", number),)))
