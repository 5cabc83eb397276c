"""Charts that show whether short runs predict long ones, and whether the budget is long enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from statistics import fmean

import plotly.graph_objects as go

from nas_attn.analysis import RungFidelity
from nas_attn.analysis.runs import comparable_iou
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.reporting.page.chart import BLUE, GREEN, PURPLE, VERMILLION, Chart, Table, figure
from nas_attn.wording.budgets import fidelity_sentences
from nas_attn.wording.placements import describe

MOST_POINTS = 400
_Scores = tuple[Placement, float, float]
_LOOKS = ((BLUE, "circle"), (VERMILLION, "square"), (GREEN, "diamond"), (PURPLE, "cross"))


def rungs_chart(fidelities: Sequence[RungFidelity], records: Sequence[TrialRecord], word: str) -> Chart:
    """Each placement's score at a short budget against that at a longer one.

    Args:
        fidelities: of pairs of rungs; at least one.
        records: of the study.
        word: name of the scores.
    """
    pairs = [_pairs(records, fidelity.lower, fidelity.upper) for fidelity in fidelities]
    thinned = " Only an even sample of the placements is drawn." if max(map(len, pairs)) > MOST_POINTS else ""
    words = " ".join(sentence for fidelity in fidelities for sentence in fidelity_sentences(fidelity))
    return Chart(
        name="rungs",
        title="Do short runs predict long ones?",
        caption=f"Each mark is a placement run at both budgets, over the seeds that both have.{thinned} {words}",
        figure=_figure(fidelities, pairs, word),
        table=Table.of(
            ("from", "to", "placements", "rank correlation", "interval"),
            [
                (
                    str(fidelity.lower),
                    str(fidelity.upper),
                    str(fidelity.n_placements),
                    f"{fidelity.correlation:+.2f}",
                    "-"
                    if fidelity.interval is None
                    else f"{fidelity.interval.low:+.2f} to {fidelity.interval.high:+.2f}",
                )
                for fidelity in fidelities
            ],
        ),
    )


def convergence_chart(curve: Sequence[tuple[int, float]], words: str, word: str) -> Chart:
    """The baseline's score at growing budgets.

    Args:
        curve: (steps, score), ascending; at least two.
        words: its explanation.
        word: name of the scores.
    """
    trace = go.Scatter(
        mode="lines+markers",
        x=[steps for steps, _ in curve],
        y=[100 * iou for _, iou in curve],
        line={"color": VERMILLION, "width": 2},
        marker={"size": 9, "symbol": "diamond"},
    )
    return Chart(
        name="convergence",
        title="Is the budget long enough?",
        caption=f"Each mark is a complete run with the same seed. {words}",
        figure=figure([trace], x="steps", y=f"{word} x100", height=300),
        table=Table.of(("steps", f"{word} x100"), [(str(steps), f"{100 * iou:.1f}") for steps, iou in curve]),
    )


def _figure(fidelities: Sequence[RungFidelity], every: Sequence[Sequence[_Scores]], word: str) -> go.Figure:
    traces = []
    for fidelity, all_pairs, (colour, symbol) in zip(fidelities, every, cycle(_LOOKS), strict=False):
        pairs = all_pairs[:: -(-len(all_pairs) // MOST_POINTS)]
        traces.append(
            go.Scatter(
                name=f"{fidelity.lower.steps} to {fidelity.upper.steps} steps",
                mode="markers",
                x=[100 * short for _, short, _ in pairs],
                y=[100 * long for _, _, long in pairs],
                text=[describe(placement) for placement, _, _ in pairs],
                marker={"color": colour, "symbol": symbol, "size": 8},
                hovertemplate="<b>%{text}</b><br>short %{x:.1f}, long %{y:.1f}<extra></extra>",
                customdata=[placement.id for placement, _, _ in pairs],
            )
        )
    return figure(traces, x=f"{word} x100 at the shorter budget", y=f"{word} x100 at the longer budget")


def _pairs(records: Sequence[TrialRecord], lower: Budget, upper: Budget) -> list[_Scores]:
    """For each placement, its mean IoU at both budgets, over the seeds that were run at both."""
    scores: dict[Budget, dict[tuple[Placement, int], float]] = {lower: {}, upper: {}}
    for record in records:
        if record.budget in scores and (iou := comparable_iou(record)) is not None:
            scores[record.budget].setdefault((record.placement, record.seed), iou)
    shared: dict[Placement, list[tuple[float, float]]] = defaultdict(list)
    for cell, short in scores[lower].items():
        if cell in scores[upper]:
            shared[cell[0]].append((short, scores[upper][cell]))
    return [
        (placement, fmean(short for short, _ in pairs), fmean(long for _, long in pairs))
        for placement, pairs in shared.items()
    ]
