"""Rankings, effects and verdicts as JSON, and rankings as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from nas_attn.analysis.costs import compared_cost, cost_ratio
from nas_attn.analysis.effects import Effect, Interaction, Module, StudyEffects
from nas_attn.analysis.result import RankedPlacement, Ranking
from nas_attn.analysis.verdict import StudyVerdict
from nas_attn.latencies import Latency

COLUMNS: Mapping[str, Callable[[RankedPlacement, Ranking], object]] = {
    "rank": lambda row, _: row.rank,
    "placement_id": lambda row, _: row.placement.id,
    "placement": lambda row, _: row.placement.to_dict(),
    "iou_mean": lambda row, _: row.iou_mean,
    "iou_ci_low": lambda row, _: row.iou_interval and row.iou_interval.low,
    "iou_ci_high": lambda row, _: row.iou_interval and row.iou_interval.high,
    "iou_expected": lambda row, _: row.iou_expected,
    "gain": lambda row, _: row.gain,
    "delta_iou_mean": lambda row, _: row.delta,
    "delta_ci_low": lambda row, _: row.delta_interval and row.delta_interval.low,
    "delta_ci_high": lambda row, _: row.delta_interval and row.delta_interval.high,
    "tested": lambda row, _: row.tested,
    "better_than_baseline": lambda row, _: str(row.better_than_baseline),
    "n_seeds": lambda row, _: row.n_seeds,
    "n_collapsed": lambda row, _: row.n_collapsed,
    "n_runs": lambda row, _: row.n_runs,
    "macs": lambda row, _: row.cost.macs,
    "parameters": lambda row, _: row.cost.parameters,
    "latency_ms": lambda row, _: row.cost.latency_ms,
    "latency_ratio": lambda row, ranking: _ratio(ranking.latency_of(row)),
    "batch_latency_ratio": lambda row, ranking: _ratio(ranking.batch_latency_of(row)),
    "on_front": lambda row, _: row.on_front,
    "is_reference": lambda row, _: row.reference is not None,
    "front_probability": lambda row, _: row.front_probability,
}
"""Value of each column. Latency ratios exist only for placements that were timed together with the baseline."""
COSTS_OF_A_ROW = ("macs", "parameters", "latency_ms", "latency_ratio", "batch_latency_ratio")
"""The columns with costs of a placement."""


def ranking_json(
    ranking: Ranking,
    top: int | None = None,
    per_class: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> str:
    """A JSON list with one object for each placement, best first.

    IoU is a fraction of 1. Unknown values are null. ``placement`` maps every location to its attention.

    Args:
        ranking: the ranking.
        top: number of rows; all if omitted.
        per_class: IoU of each class by the id of each placement; left out of the row of a placement without an
            entry.
    """
    rows = [_row(row, ranking) | _of_classes(per_class.get(row.placement.id)) for row in ranking.rows[:top]]
    return json.dumps(rows, indent=2, allow_nan=False)


def ranking_rows(ranking: Ranking) -> list[dict[str, object]]:
    """A row for each placement, best first, as plain values by the names of ``COLUMNS``."""
    return [_row(row, ranking) for row in ranking.rows]


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """The same columns as CSV with a header; unknown values are empty, and ``placement`` is written as text.

    Args:
        ranking: the ranking.
        top: number of rows; all if omitted.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in ranking.rows[:top]:
        values = _row(row, ranking) | {"placement": str(row.placement)}
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in values.values()])
    return file.getvalue()


def effects_json(effects: StudyEffects, notes: Sequence[str]) -> str:
    """A JSON object with the lists ``effects``, ``interactions`` and ``redundancies``.

    IoU is a fraction of 1. Unknown values are null.

    Args:
        effects: of a study.
        notes: sentences about the effects.
    """
    written = {
        "confidence": effects.confidence,
        "n_placements": effects.n_placements,
        "n_runs": effects.n_runs,
        "effects": [
            {**_module((effect.location, effect.attention)), **_found(effect)} for effect in effects.effects
        ],
        "interactions": [
            {"one": _module(pair.one), "other": _module(pair.other), **_found(pair)}
            for pair in effects.interactions
        ],
        "redundancies": [
            {
                **_module(redundancy.module),
                "beside": _module(redundancy.beside),
                "effect_alone": redundancy.alone,
                "effect_beside": redundancy.together,
                "ci_low": redundancy.interval.low,
                "ci_high": redundancy.interval.high,
            }
            for redundancy in effects.redundancies
        ],
        "notes": list(notes),
    }
    return json.dumps(written, indent=2, allow_nan=False)


def verdict_json(study: str, verdict: StudyVerdict, sentences: Sequence[str]) -> str:
    """A verdict as one JSON object; gains are in points of the metric, and unknown values are null.

    Costs of the placement have the names of the ranking's columns, and costs of the baseline the same names with
    the prefix ``baseline_``. ``cost`` names the cost that the study weighs, and ``cost_ratio`` is the placement's
    relative to the baseline's. The interval is that of the measured gain, not of the expected one.

    Args:
        study: its name.
        verdict: of the study.
        sentences: the verdict in words.
    """
    measured, row, ranking = verdict.measured, verdict.row, verdict.ranking
    interval = None if measured is None else measured.interval
    written = {
        "study": study,
        "verdict": str(verdict.answer),
        "reason": None if verdict.reason is None else str(verdict.reason),
        "placement_id": None if row is None else row.placement.id,
        "placement": None if row is None else {str(place): str(spec) for place, spec in row.placement},
        "gain_points": _points(_gain(verdict)),
        "measured_points": _points(None if measured is None else measured.delta),
        "low": _points(None if interval is None else interval.low),
        "high": _points(None if interval is None else interval.high),
        "largest_possible_gain_points": _points(verdict.largest),
        "worth_points": _points(verdict.worth),
        "confidence": ranking.confidence,
        "verified": verdict.verified,
        "converged": verdict.converged,
        "metric": ranking.metric.name,
        "cost": ranking.cost,
        "cost_ratio": None if row is None else cost_ratio(row, ranking, ranking.cost),
        **_cost_values(row, ranking),
        "as_good_for_less": _alternative(verdict),
        **{f"baseline_{name}": value for name, value in _baseline_costs(ranking).items()},
        "sentences": list(sentences),
    }
    return json.dumps(written, indent=2, allow_nan=False)


def _row(row: RankedPlacement, ranking: Ranking) -> dict[str, object]:
    return {name: value(row, ranking) for name, value in COLUMNS.items()}


def _ratio(latency: Latency | None) -> float | None:
    return None if latency is None else latency.ratio


def _of_classes(ious: Mapping[str, float | None] | None) -> dict[str, object]:
    return {} if ious is None else {"iou_per_class": dict(ious)}


def _cost_values(row: RankedPlacement | None, ranking: Ranking) -> dict[str, object]:
    """Costs of a row by the names of ``COSTS_OF_A_ROW``; None for unknown values.

    Args:
        row: of the ranking; None if there is no such row.
        ranking: to which it belongs.
    """
    return {name: None if row is None else COLUMNS[name](row, ranking) for name in COSTS_OF_A_ROW}


def _module(module: Module) -> dict[str, str]:
    return {"location": str(module[0]), "attention": str(module[1])}


def _found(found: Effect | Interaction) -> dict[str, float | int | None]:
    interval = found.interval
    return {
        "effect": found.mean,
        "ci_low": None if interval is None else interval.low,
        "ci_high": None if interval is None else interval.high,
        "n_placements": found.n_placements,
    }


def _alternative(verdict: StudyVerdict) -> dict[str, object] | None:
    """The placement that is as good and cheaper, with the name of the cost by which it is cheaper."""
    row, one, ranking = verdict.row, verdict.as_good_for_less, verdict.ranking
    if row is None or one is None:
        return None
    return {
        "placement_id": one.placement.id,
        "gain_points": _points(one.gain),
        "cost": compared_cost(row, ranking),
        **_cost_values(one, ranking),
    }


def _baseline_costs(ranking: Ranking) -> dict[str, object]:
    """The baseline's costs without ratios to itself."""
    costs = _cost_values(ranking.plain, ranking)
    return {name: value for name, value in costs.items() if not name.endswith("_ratio")}


def _gain(verdict: StudyVerdict) -> float | None:
    """The gain to report: the verified difference, or else the expected gain."""
    if verdict.verification is not None and verdict.measured is not None:
        return verdict.measured.delta
    return None if verdict.row is None else verdict.row.gain


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 4)
