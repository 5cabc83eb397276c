"""The latency of any placement before it is trained, where a search weighs or limits it."""

from __future__ import annotations

from dataclasses import replace

from nas_attn.latencies import LatencyModel
from nas_attn.steps import step
from nas_attn.strategy.schedule.reference_architectures import reference_choices
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.begin import existing
from nas_attn.study.setup.resolve import Resolved
from nas_attn.training.evaluation import LatencyBench, measure_latency_model

SECONDS = 10.0
"""So long is measured, at most, before a study's first trial."""


def with_known_latency(resolved: Resolved) -> Resolved:
    """The search with costs that hold the latency, where it is the second objective; else the search as it is.

    A study that was begun has its own, so that it goes on with the same figures; else they are measured now, on
    the first device.

    Raises:
        StudyError: the storage cannot be read.
        RuntimeError: memory has run out; and other errors of torch.
    """
    if resolved.settings.cost != "latency":
        return resolved
    ledger = existing(resolved)
    if ledger is not None:
        return as_begun(resolved, ledger)
    return resolved if resolved.costs.latency is not None else _with(resolved, _measured(resolved))


def as_begun(resolved: Resolved, ledger: Ledger) -> Resolved:
    """The search with the latencies that its study was begun with; studies begun before have none."""
    kept = ledger.context.get("latency model")
    return resolved if kept is None else _with(resolved, LatencyModel.from_dict(kept))


def _with(resolved: Resolved, model: LatencyModel) -> Resolved:
    return replace(resolved, costs=resolved.costs.with_latency(model))


def _measured(resolved: Resolved) -> LatencyModel:
    settings = resolved.settings
    space = settings.space
    bench = LatencyBench(
        space.network,
        space.height,
        space.width,
        settings.budget.batch_size,
        settings.devices[0],
        settings.precision,
        SECONDS,
    )
    with step("timing each attention at each place"):
        return measure_latency_model(bench, reference_choices(space).items())
