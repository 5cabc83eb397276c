"""One evaluation, its outcome or why there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.workers.blame import cause_of

Evaluator = Callable[[Placement, Budget, int], Outcome]

_LONGEST = 400

log = logging.getLogger(__name__)


def attempt(evaluator: Evaluator, evaluation: Evaluation) -> Outcome | Failure:
    """The outcome, or why there is none; errors that only a mistake in this program can cause are raised."""
    import torch

    from nas_attn.training.metrics import begin_watch, is_out_of_memory, out_of_memory_of

    device = torch.device(getattr(evaluator, "device", "cpu"))
    begin_watch(device)
    try:
        return evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    except NasAttnError as error:
        return Failure("; ".join(error.problems), cause=cause_of(error))
    except (
        MemoryError,
        RuntimeError,
        ValueError,
        OSError,
        EOFError,
        ImportError,
    ) as error:  # torch's errors of memory, shapes, kernels and values, and those of the machine
        log.debug("an evaluation failed", exc_info=True)
        if not is_out_of_memory(error):
            return Failure(f"{type(error).__name__}: {_short(error)}", cause=cause_of(error))
        shortage = out_of_memory_of(error, device)
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        failure = Failure(f"out of memory: {shortage}; {_short(error)}{notes}", shortage)
    # Only here is what the failed run held free again, for the next run and for the other workers of the GPU.
    torch.cuda.empty_cache()
    return failure


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_LONGEST]
