"""Metrics and costs of a network: the one counter of IoU and of MACs, parameters, latency, memory."""

from __future__ import annotations

from nas_attn.training.metrics.complexity import count_macs, count_parameters
from nas_attn.training.metrics.device import device_name
from nas_attn.training.metrics.iou import IntersectionOverUnion
from nas_attn.training.metrics.latency import (
    interleaved_times,
    latencies_of,
    measure_latency_ms,
    one_thread,
    pinned,
)
from nas_attn.training.metrics.memory import (
    MIB,
    LiveBytes,
    begin_watch,
    is_out_of_memory,
    machine_bytes,
    measure_peak_memory_mib,
    out_of_memory_of,
)

__all__ = [
    "MIB",
    "IntersectionOverUnion",
    "LiveBytes",
    "begin_watch",
    "count_macs",
    "count_parameters",
    "device_name",
    "interleaved_times",
    "is_out_of_memory",
    "latencies_of",
    "machine_bytes",
    "measure_latency_ms",
    "measure_peak_memory_mib",
    "one_thread",
    "out_of_memory_of",
    "pinned",
]
