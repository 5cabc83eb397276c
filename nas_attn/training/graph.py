"""A training step as one CUDA graph: a single call launches hundreds of kernels."""

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
        name: ``cuda graph``, or ``eager`` and, on a GPU, the reason.
    """

    step: Callable[[], None]
    name: str


class GraphPool:
    """Memory that the graphs of one process share, one graph after the other.

    A pool cannot be used again after its last graph is deleted, so this object keeps a small graph in it.

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
    """An engine in which Python launches every operation of a step."""
    return Engine(step, f"eager: {reason}" if reason else "eager")


def capture(step: TrainingStep, device: torch.device, pool: GraphPool | None = None) -> Engine:
    """Record a step as a graph that is then replayed; eager if a module of the network cannot be recorded.

    The step is tried a few times, and every tensor that it changed is restored, so the run begins unchanged.

    Args:
        step: made with ``capturable``, prepared for its first step and not yet called.
        device: a CUDA device.
        pool: of the graphs of this process; None uses memory for this graph alone.
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
    """Let libraries choose their kernels and the optimiser create its moments, on a side stream."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    stream.wait_stream(torch.cuda.current_stream(device))
    with warnings.catch_warnings(), torch.cuda.stream(stream):
        # AdamW warns that a capturable step runs outside of a capture; that is intended here.
        warnings.filterwarnings("ignore", message="This instance was constructed with capturable")
        for _ in range(_WARM_UPS):
            step()
            step.go_to(0)
    torch.cuda.current_stream(device).wait_stream(stream)
    torch.cuda.synchronize(device)


def _restore(step: TrainingStep, before: list[torch.Tensor]) -> None:
    """Restore the values from before the first call; tensors created since are set to 0, as they began."""
    now = step.state()
    for tensor, value in zip(now, before, strict=False):
        tensor.copy_(value)
    for tensor in now[len(before) :]:
        tensor.zero_()
