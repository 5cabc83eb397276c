"""The costs in one value."""

from __future__ import annotations

import torch
from torch import nn

from nas_attn.measure import device_name, measure_cost
from nas_attn.record import Cost

CPU = torch.device("cpu")


def test_without_a_device_only_what_can_be_counted_is_known() -> None:
    assert measure_cost(nn.Conv2d(3, 2, 1), (3, 4, 5)) == Cost(parameters=8, macs=3 * 2 * 20)


def test_a_device_adds_the_latency_and_a_step_the_peak_memory() -> None:
    cost = measure_cost(nn.Conv2d(3, 2, 1), (3, 4, 5), CPU, step=lambda: torch.zeros(512, 512))
    assert (cost.parameters, cost.macs, cost.peak_memory_mib) == (8, 120, 1)
    assert cost.latency_ms is not None
    assert cost.latency_ms > 0
    assert cost.device == device_name(CPU)


def test_without_a_step_the_peak_memory_is_unknown() -> None:
    assert measure_cost(nn.Conv2d(3, 2, 1), (3, 4, 5), CPU).peak_memory_mib is None
