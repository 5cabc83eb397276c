"""The timer against modules that take a known time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from nas_attn.training.metrics import measure_latency_ms

CPU = torch.device("cpu")


@dataclass
class Clock:
    """A clock that goes on only while a module works."""

    now: float = 0.0


class Worker(nn.Module):
    """Take the next of some times."""

    clock = Clock()
    seconds: list[float] = []  # noqa: RUF012  # on the class: the timer runs a copy of the module

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now += self.seconds.pop(0)
        return x


def test_latency_is_the_median_of_the_repeats_without_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: Worker.clock.now)
    Worker.seconds = [9.0, 0.25, 4.0, 0.5]
    assert measure_latency_ms(Worker(), (1, 1), CPU, warmups=1, repeats=3) == pytest.approx(500)
    assert not Worker.seconds


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
    one = nn.Conv2d(3, 3, 3)
    many = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(40)))
    short, long = (measure_latency_ms(module, (1, 3, 64, 64), torch.device("cuda")) for module in (one, many))
    assert 0 < 3 * short < long
    assert next(one.parameters()).device == CPU
