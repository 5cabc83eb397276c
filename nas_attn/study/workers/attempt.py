"""One evaluation, its outcome or the reason why there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError
from nas_attn.placement import Placement
from nas_attn.record import Outcome
from nas_attn.study.evaluation import Evaluation

Evaluator = Callable[[Placement, Budget, int], Outcome]

_LONGEST = 400
_NO_MEMORY = "DefaultCPUAllocator: "

log = logging.getLogger(__name__)


def attempt(evaluator: Evaluator, evaluation: Evaluation) -> Outcome | str:
    """The outcome, or why there is none; errors that only a mistake in this program can cause are raised."""
    import torch

    try:
        return evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    except NasAttnError as error:
        return "; ".join(error.problems)
    except torch.OutOfMemoryError as error:
        reason = f"out of memory: {_short(error)}{_held_on_gpus()}"
    except MemoryError:
        reason = "out of memory: Python could not allocate any more"
    except (RuntimeError, ValueError) as error:  # torch's errors of shapes, kernels and values
        log.debug("an evaluation failed", exc_info=True)
        text = _short(error)
        if _NO_MEMORY in text:
            return f"out of memory: {text.partition(_NO_MEMORY)[2]}"
        return f"{type(error).__name__}: {text}"
    # Only here is what the failed run held free again, for the next run and for the other workers of the GPU.
    torch.cuda.empty_cache()
    return reason


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_LONGEST]


def _held_on_gpus() -> str:
    """The most that this process has held, in words."""
    import torch

    held = [torch.cuda.max_memory_allocated(index) / 2**20 for index in range(torch.cuda.device_count())]
    if not any(held):
        return ""
    for index in range(len(held)):
        torch.cuda.reset_peak_memory_stats(index)
    return f"; the worker held up to {max(held):,.0f} MiB before"
