"""Memory of a step, and of a run that ran out of memory."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas_attn.record import OutOfMemory
from nas_attn.training.metrics.device import device_name

MIB = 2**20
_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)
"""Texts of out-of-memory errors for which torch has no exception class."""
_ASKED = re.compile(r"allocate (?P<number>\d+(\.\d+)?) (?P<unit>bytes|[KMGTPE]iB)")
_UNITS = {unit: 1024**power for power, unit in enumerate(("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))}


def measure_peak_memory_mib(step: Callable[[], object], device: torch.device) -> float | None:
    """The most memory that a step held beyond the memory held before it, in MiB.

    On a GPU this is what torch's allocator handed out, including workspaces of kernels and rounding to 512 bytes.
    On a CPU it is the exact bytes of all living tensors; memory that a kernel allocates for itself is not seen.

    Args:
        step: run once; its gradients and its optimiser's state count if the step creates them.
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

    On the meta device, where nothing is computed or allocated, it counts the bytes that a step would take.
    """

    peak: int
    """The most bytes that were alive at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.peak = 0
        self._bytes: dict[int, int] = {}

    @property
    def now(self) -> int:
        """Bytes that are alive now."""
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
        # Views and in-place results share an input's storage: older than the step, or followed already.
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def out_of_memory_of(error: BaseException, device: torch.device) -> OutOfMemory:
    """A lower bound of the memory that would have been needed.

    Call it while the error is handled: its traceback keeps alive the tensors that were held when it was raised.

    Args:
        error: an error for which ``is_out_of_memory`` is true.
        device: where the evaluation ran.
    """
    asked = _asked_bytes(str(error))
    capacity: int | None
    if device.type == "cuda":
        held = torch.cuda.memory_allocated(device) + asked
        needed = max(held, torch.cuda.max_memory_allocated(device))
        capacity = torch.cuda.get_device_properties(device).total_memory
    else:
        needed, capacity = _resident_bytes() + asked, machine_bytes()
    return OutOfMemory(device_name(device), needed / MIB, None if capacity is None else capacity / MIB)


def begin_watch(device: torch.device) -> None:
    """Reset a GPU's peak statistics, so that ``out_of_memory_of`` sees only the evaluation that begins now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def machine_bytes() -> int | None:
    """Memory that this process may use: the machine's, or a lower limit set for the process.

    Returns:
        None if the system does not say.
    """
    told = (
        _number_in("/proc/meminfo", r"MemTotal: +(\d+) kB", 1024),
        _number_in("/proc/self/limits", r"Max address space +(\d+)"),
        _number_in("/sys/fs/cgroup/memory.max", r"(\d+)"),
    )
    return min((size for size in told if size is not None), default=None)


def _asked_bytes(text: str) -> int:
    """Size of the allocation that failed; 0 if the error does not say."""
    found = _ASKED.search(text)
    return int(float(found["number"]) * _UNITS[found["unit"]]) if found else 0


def _resident_bytes() -> int:
    return _number_in("/proc/self/status", r"VmRSS:\s+(\d+) kB", 1024) or 0


def _number_in(path: str, pattern: str, unit: int = 1) -> int | None:
    """A number in a file of the system; None if there is no such file, or no such number in it."""
    try:
        found = re.search(pattern, Path(path).read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * unit if found else None
