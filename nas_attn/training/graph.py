"""A training step as one CUDA graph: hundreds of kernels started by a single call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from nas_attn.training.step import TrainingStep

_WARM_UPS = 3


@dataclass(frozen=True)
class Engine:
    """How the steps of a run are taken.

    Args:
        step: takes the next step.
        name: ``cuda graph``, or ``eager`` and, on a GPU, why.
    """

    step: Callable[[], None]
    name: str


class GraphPool:
    """Memory that the graphs of one process share, one graph after the other.

    A pool whose last graph is gone cannot be used again, so a small graph holds it for as long as this lives.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self.handle = torch.cuda.graph_pool_handle()
        self._anchor = torch.cuda.CUDAGraph()
        held = torch.zeros(1, device=device)
        with torch.cuda.device(device), torch.cuda.graph(self._anchor, pool=self.handle):
            self._held = held + 1


def eager(step: TrainingStep, reason: str = "") -> Engine:
    """Every operation of a step is started by Python."""
    return Engine(step, f"eager: {reason}" if reason else "eager")


def capture(step: TrainingStep, device: torch.device, pool: GraphPool | None = None) -> Engine:
    """Record a step and replay it from then on; eager where a module of the network cannot be recorded.

    The step is tried a few times, and whatever it changed is put back: the run begins as it would have.

    Args:
        step: made with ``capturable``, prepared for its first step and not yet called.
        device: a CUDA device.
        pool: of the graphs of this process; None takes memory for this graph alone.
    Raises:
        torch.OutOfMemoryError: the device has too little memory for the step.
    """
    before = [tensor.clone() for tensor in step.state()]
    graph = torch.cuda.CUDAGraph()
    try:
        _warm_up(step, device)
        _restore(step, before)
        with torch.cuda.device(device), torch.cuda.graph(graph, pool=pool.handle if pool else None):
            step()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        torch.cuda.synchronize(device)
        _restore(step, before)
        return eager(step, " ".join(str(error).split())[:200])
    return Engine(graph.replay, "cuda graph")


def _warm_up(step: TrainingStep, device: torch.device) -> None:
    """Let libraries choose their kernels and the optimiser make its moments, beside the main stream."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    stream.wait_stream(torch.cuda.current_stream(device))
    with warnings.catch_warnings(), torch.cuda.stream(stream):
        # AdamW warns that a capturable step runs outside of a capture: here it has to.
        warnings.filterwarnings("ignore", message="This instance was constructed with capturable")
        for _ in range(_WARM_UPS):
            step()
            step.go_to(0)
    torch.cuda.current_stream(device).wait_stream(stream)
    torch.cuda.synchronize(device)


def _restore(step: TrainingStep, before: list[torch.Tensor]) -> None:
    """Put the values back that were taken before the first call; what is newer began as 0."""
    now = step.state()
    for tensor, value in zip(now, before, strict=False):
        tensor.copy_(value)
    for tensor in now[len(before) :]:
        tensor.zero_()
