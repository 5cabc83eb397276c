"""The name of the machine that a time or a size was measured on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The device in words, such as ``cpu: Intel(R) Xeon(R) Platinum 8488C, 1 thread`` or ``cuda: NVIDIA H200``."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"cpu: {_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    # platform.processor() is empty or a mere architecture on Linux.
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
