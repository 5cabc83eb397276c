"""An evaluation with its outcome, or its failure: of the placement, or of the machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from nas_attn.budget import Budget
from nas_attn.errors import DataError, MachineError, MissingPackageError, NasAttnError, StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome
from nas_attn.strategy.evaluation import Evaluation

Evaluator = Callable[[Placement, Budget, int], Outcome]

_LONGEST = 400

DATA, DISK, SOFTWARE, DEVICE = "data", "disk", "software", "device"
"""Parts of the machine that may cause a failure."""
CRASH = "crash"
"""A device failed during a computation, so its process can no longer be used. The cause is not known yet."""
_MOST_FAULTS = 5
_GONE = (
    "no CUDA-capable device",
    "No CUDA GPUs are available",
    "NVIDIA driver",
    "CUDA driver",
    "driver shutting down",
    "busy or unavailable",
    "invalid device ordinal",
    "uncorrectable",
    "device is lost",
    "hardware stack error",
    "system not yet initialized",
    "CUDA unknown error",
    "CUDA error: unknown error",
    "CUDA error: initialization error",
)
"""Errors of the device that no computation causes."""
_CRASHED = ("CUDA error:", "HIP error:", "STATUS_EXECUTION_FAILED", "STATUS_INTERNAL_ERROR")
"""Errors after which every further call fails."""

log = logging.getLogger(__name__)


def attempt(evaluator: Evaluator, evaluation: Evaluation) -> Outcome | Failure:
    """The outcome, or why there is none. Errors that only a bug in this program can cause are raised."""
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


def cause_of(error: BaseException) -> str | None:
    """The cause of an error other than a shortage of memory.

    Returns:
        one of the causes above; None if the placement itself failed.
    """
    if isinstance(error, (ImportError, MissingPackageError)):
        return SOFTWARE
    if isinstance(error, (DataError, MachineError, EOFError)):
        return DATA
    if isinstance(error, OSError):
        return DISK
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if any(sign in text for sign in _GONE):
        return DEVICE
    return CRASH if any(sign in text for sign in _CRASHED) else None


def stop_if_out_of_order(number: int, faults: Sequence[Failure]) -> None:
    """Stop the search if an evaluation fails for the second time in a row because of the same part of the machine.

    Such a failure does not end the trial: it stays running, and starts again in the next search.

    Args:
        number: of the trial.
        faults: all failures of its evaluation that were the machine's, the latest last.
    Raises:
        StudyError: continuing makes no sense.
    """
    last = faults[-1]
    if len(faults) < _MOST_FAULTS and [fault.cause for fault in faults[-2:]] != [last.cause] * 2:
        return
    raise StudyError(
        f"trial {number} has failed {len(faults)} times because of the {last.cause} here, not because of its "
        f"placement: {last.reason}; it does not count: put that right, and the same command resumes"
    )
