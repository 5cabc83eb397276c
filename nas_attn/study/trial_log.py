"""Log each trial of a study as a run of an experiment logger, next to other experiments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas_attn.record import Outcome, TrialRecord
from nas_attn.study.loop import Listener


class TrialLog:
    """Called with all records whenever one of them changes; logs each trial once, when it is complete.

    Args:
        name: of the logger, one of ``nas_attn.training.full.loggers.LOGGERS``.
        folder: of the study, which stores the numbers of logged trials.
        other: also called after every change.
    """

    def __init__(self, name: str, folder: Path, other: Listener) -> None:
        self._name, self._other = name, other
        self._group, self._folder = folder.name, folder / "loggers"
        self._kept = self._folder / f"{name}-trials.txt"
        self._logged = _numbers(self._kept)

    def __call__(self, records: Sequence[TrialRecord]) -> None:
        for record in records:
            if record.outcome is not None and record.number not in self._logged:
                self._log(record, record.outcome)
        self._other(records)

    def _log(self, record: TrialRecord, outcome: Outcome) -> None:
        from nas_attn.training.full.loggers import close, make_logger

        logger = make_logger(self._name, self._folder, self._group, f"trial-{record.number:04}")
        logger.log_hyperparams(_settings(record))
        for point in outcome.curve:
            logger.log_metrics({"train_loss": point.loss}, step=point.step)
        logger.log_metrics(_figures(outcome), step=record.budget.steps)
        close(logger, self._name)
        self._logged.add(record.number)
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        with self._kept.open("a", encoding="utf-8") as file:
            file.write(f"{record.number}\n")


def _settings(record: TrialRecord) -> dict[str, object]:
    """Only scalars, by which loggers group and filter."""
    return {
        "placement_id": record.placement.id,
        "role": str(record.role),
        "reference": record.reference or "",
        "seed": record.seed,
        "steps": record.budget.steps,
        **{str(location): str(spec) for location, spec in record.placement},
    }


def _figures(outcome: Outcome) -> dict[str, float]:
    cost = outcome.cost
    known = {
        "val_iou": outcome.score.iou,
        "val_loss": outcome.score.loss,
        "macs": float(cost.macs),
        "parameters": float(cost.parameters),
        "latency_ms": cost.latency_ms,
        "seconds": outcome.seconds,
        **{f"val_iou_class_{index}": value for index, value in enumerate(outcome.score.iou_per_class)},
    }
    return {name: value for name, value in known.items() if value is not None}


def _numbers(path: Path) -> set[int]:
    """Numbers of the trials that were logged before."""
    try:
        return {int(line) for line in path.read_text(encoding="utf-8").split()}
    except FileNotFoundError:
        return set()
