"""A machine with little memory: allocations of tensors beyond a limit fail as on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome
from nas_attn.training.evaluation import TrainingEvaluator
from nas_attn.training.metrics import LiveBytes

MIB = 2**20


class _Limit(TorchDispatchMode):
    """Looks after each operation how much is alive.

    Args:
        live: follows the tensors.
        limit: bytes.
    """

    def __init__(self, live: LiveBytes, limit: float) -> None:
        super().__init__()
        self._live, self._limit = live, limit

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        before = self._live.now
        result = func(*args, **(kwargs or {}))
        if before < self._live.now > self._limit and _is_real(result):
            asked = (self._live.now - before) / MIB
            raise torch.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {asked:.2f} MiB. GPU 0 has a total capacity of "
                f"{self._limit / MIB:.2f} MiB of which {(self._limit - before) / MIB:.2f} MiB is free."
            )
        return result


def _is_real(result: object) -> bool:
    """Whether tensors were made that take memory."""
    return any(isinstance(one, torch.Tensor) and one.device.type != "meta" for one in tree_leaves(result))


@contextmanager
def scarce(limit_mib: float) -> Iterator[LiveBytes]:
    """Tensors made inside take so many MiB at most."""
    live = LiveBytes()
    with live, _Limit(live, limit_mib * MIB):
        yield live


@dataclass(frozen=True)
class Scarce:
    """An evaluator on such a machine.

    Args:
        evaluator: trains.
        limit_mib: for the tensors of an evaluation, parameters and images among them.
    """

    evaluator: TrainingEvaluator
    limit_mib: float

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        with scarce(self.limit_mib):
            return self.evaluator(placement, budget, seed)
