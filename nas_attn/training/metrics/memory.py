"""How much memory a step needs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 2**20


def measure_peak_memory_mib(step: Callable[[], object], device: torch.device) -> float | None:
    """The most memory that a step held beyond what was held before it, in MiB.

    On a GPU this is what torch's allocator handed out: workspaces of kernels and rounding to 512 bytes included.
    On a CPU it is the bytes of all tensors alive, exactly; what a kernel takes for itself alone is not seen.

    Args:
        step: what to run, once; its gradients and its optimiser's state count where it creates them.
        device: where its tensors live.
    Returns:
        None on a device whose memory cannot be read.
    """
    if device.type == "cuda":
        return _gpu_peak_bytes(step, device) / MIB
    if device.type == "cpu":
        live = LiveBytes()
        with live:
            step()
        return live.peak / MIB
    return None


def _gpu_peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = int(torch.cuda.memory_allocated(device))
    step()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves the base class untyped
    """Follows every tensor storage that is created while it is active, until it is freed.

    On the meta device, too, where nothing is computed and nothing held: then it tells what a step would take.
    """

    peak: int
    """The most bytes that were alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.peak = 0
        self._bytes: dict[int, int] = {}

    @property
    def now(self) -> int:
        """Bytes that are alive."""
        return sum(self._bytes.values())

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: tuple[type, ...],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        # Views and in-place results stand on a storage that came in: older than the step, or followed already.
        given = {_storage_key(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and (key := _storage_key(tensor)) not in given:
                self._follow(key, tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _follow(self, key: int, storage: torch.UntypedStorage) -> None:
        if key not in self._bytes:
            self._bytes[key] = storage.nbytes()
            weakref.finalize(storage, self._bytes.pop, key, None)


def _storage_key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
