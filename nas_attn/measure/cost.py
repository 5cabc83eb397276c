"""All costs of a network in one value."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from nas_attn.measure.device import device_name
from nas_attn.measure.latency import measure_latency_ms
from nas_attn.measure.macs import count_macs
from nas_attn.measure.memory import measure_peak_memory_mib
from nas_attn.measure.parameters import count_parameters
from nas_attn.record import Cost


def measure_cost(
    module: nn.Module,
    image_shape: tuple[int, int, int],
    device: torch.device | None = None,
    *,
    step: Callable[[], object] | None = None,
) -> Cost:
    """What a network costs for one image.

    Args:
        module: any network of one input; it is left as it is.
        image_shape: C, H, W of the image.
        device: where to measure latency and peak memory; None leaves both out, and the rest is a pure function.
        step: a training step whose peak memory is measured on ``device``; None leaves it out.
    """
    shape = (1, *image_shape)
    parameters, macs = count_parameters(module), count_macs(module, shape)
    if device is None:
        return Cost(parameters, macs)
    return Cost(
        parameters=parameters,
        macs=macs,
        latency_ms=measure_latency_ms(module, shape, device),
        peak_memory_mib=None if step is None else measure_peak_memory_mib(step, device),
        device=device_name(device),
    )
