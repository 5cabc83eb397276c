"""Whether an error is for want of memory, and how much there would have had to be."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from nas_attn.record import OutOfMemory
from nas_attn.training.metrics.device import device_name
from nas_attn.training.metrics.memory import MIB

_SIGNS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
)
"""Of errors that torch raises without a class of their own."""
_ASKED = re.compile(r"allocate (?P<number>\d+(\.\d+)?) (?P<unit>bytes|[KMGTPE]iB)")
_UNITS = {unit: 1024**power for power, unit in enumerate(("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def out_of_memory_of(error: BaseException, device: torch.device) -> OutOfMemory:
    """How much memory there would have had to be, at least.

    To be asked while the error is handled: its traceback keeps alive what was held when it was raised.

    Args:
        error: one for which ``is_out_of_memory`` holds.
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
    """Forget what a GPU's earlier evaluations held, so that ``out_of_memory_of`` tells of the one that begins."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def machine_bytes() -> int | None:
    """Memory that this process may take: that of the machine, or less where it is limited to less.

    Returns:
        None where the system does not tell.
    """
    told = (
        _number_in("/proc/meminfo", r"MemTotal: +(\d+) kB", 1024),
        _number_in("/proc/self/limits", r"Max address space +(\d+)"),
        _number_in("/sys/fs/cgroup/memory.max", r"(\d+)"),
    )
    return min((size for size in told if size is not None), default=None)


def _asked_bytes(text: str) -> int:
    """What the allocation that failed asked for; 0 where the error does not tell."""
    found = _ASKED.search(text)
    return int(float(found["number"]) * _UNITS[found["unit"]]) if found else 0


def _resident_bytes() -> int:
    return _number_in("/proc/self/status", r"VmRSS:\s+(\d+) kB", 1024) or 0


def _number_in(path: str, pattern: str, unit: int = 1) -> int | None:
    """What a file of the system says; None where there is none, or where it says another thing."""
    try:
        found = re.search(pattern, Path(path).read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * unit if found else None
