"""Number format and memory layout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.training import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "text"),
    [
        (Precision(), "float32"),
        (Precision(channels_last=True), "float32+channels_last"),
        (Precision(bfloat16=True, channels_last=True), "bfloat16+channels_last"),
    ],
)
def test_a_precision_says_what_it_is(precision: Precision, text: str) -> None:
    assert str(precision) == text


def test_channels_last_lays_out_weights_and_inputs() -> None:
    precision = Precision(channels_last=True)
    module = precision.place(nn.Conv2d(3, 5, 3), CPU)
    inputs = precision.arrange(torch.zeros(2, 3, 8, 8))

    assert module.weight.is_contiguous(memory_format=torch.channels_last)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_otherwise_rows_are_contiguous() -> None:
    inputs = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)

    assert Precision().arrange(inputs).is_contiguous()
    assert Precision().place(nn.Conv2d(3, 5, 3), CPU).weight.is_contiguous()


def test_bfloat16_is_for_the_computation_and_weights_stay_in_single_precision() -> None:
    precision = Precision(bfloat16=True)
    module = precision.place(nn.Conv2d(3, 5, 3), CPU)
    with precision.autocast(CPU):
        assert module(torch.zeros(1, 3, 8, 8)).dtype == torch.bfloat16
    with Precision().autocast(CPU):
        assert module(torch.zeros(1, 3, 8, 8)).dtype == torch.float32
    assert module.weight.dtype == torch.float32
