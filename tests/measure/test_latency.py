"""The timer against modules that take a known time."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from nas_attn.measure import measure_latency_ms

CPU = torch.device("cpu")


class Sleeper(nn.Module):
    """Sleep for the next of some times."""

    seconds: list[float] = []  # noqa: RUF012  # on the class: the timer runs a copy of the module

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds.pop(0))
        return x


def test_latency_is_the_median_of_the_repeats_without_the_warm_up() -> None:
    Sleeper.seconds = [0.4, 0.02, 0.4, 0.02]
    latency_ms = measure_latency_ms(Sleeper(), (1, 1), CPU, warmups=1, repeats=3)
    assert 20 <= latency_ms < 120
    assert not Sleeper.seconds


class Witness(nn.Module):
    """Note how it is called."""

    calls: list[tuple[torch.Size, bool, bool]] = []  # noqa: RUF012  # as above

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((x.shape, self.training, torch.is_grad_enabled()))
        return x


def test_the_network_is_timed_in_evaluation_without_gradients_and_left_in_training() -> None:
    Witness.calls = []
    module = Witness().train()
    measure_latency_ms(module, (1, 3, 4, 4), CPU, warmups=1, repeats=2)
    assert Witness.calls == [((1, 3, 4, 4), False, False)] * 3
    assert module.training


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_timed_by_its_own_clock() -> None:
    module = nn.Conv2d(3, 64, 3)
    assert 0 < measure_latency_ms(module, (1, 3, 64, 64), torch.device("cuda")) < 1000
    assert next(module.parameters()).device == CPU
