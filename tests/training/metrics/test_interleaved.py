"""Steps that take turns, against steps that take a known time on a machine whose speed changes."""

from __future__ import annotations

import itertools
import math
import os
import random
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import trim_mean
from torch import nn

from nas_attn.training.metrics import interleaved_times, latencies_of, pinned

CPU = torch.device("cpu")


class Machine:
    """A clock that only steps move; what they take depends on how slow the machine is at that moment.

    Args:
        slowness: of the n-th pass.
    """

    def __init__(self, slowness: Callable[[int], float]) -> None:
        self.now, self.passes, self.order = 0.0, 0, list[str]()
        self._slowness = slowness

    def step(self, name: str, milliseconds: float) -> Callable[[], None]:
        def take() -> None:
            self.now += milliseconds * self._slowness(self.passes)
            self.passes += 1
            self.order.append(name)

        return take


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """It becomes three times as slow little by little, as a machine does that others begin to use."""
    made = Machine(lambda number: 1 + number / 300)
    monkeypatch.setattr(time, "thread_time_ns", lambda: round(made.now * 1e6))
    monkeypatch.setattr(time, "monotonic", lambda: made.now / 1000)
    return made


def test_ratios_are_those_of_the_steps_though_the_machine_slows_down(machine: Machine) -> None:
    """One after the other, the last step would seem three times as dear as it is."""
    steps = {name: machine.step(name, ms) for name, ms in (("plain", 2.0), ("dear", 3.0), ("same", 2.0))}
    found = latencies_of(interleaved_times(steps, "plain", CPU, seconds=1e9), "plain")

    assert found["plain"].ratio == 1
    assert found["dear"].ratio == pytest.approx(1.5, rel=0.02)
    assert found["same"].ratio == pytest.approx(1.0, rel=0.02)
    assert machine.passes > 60


def test_a_quiet_machine_needs_few_rounds_and_a_noisy_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two steps that vary by nothing, and by a tenth from pass to pass."""

    def rounds(slowness: Callable[[int], float]) -> int:
        made = Machine(slowness)
        monkeypatch.setattr(time, "thread_time_ns", lambda: round(made.now * 1e6))
        monkeypatch.setattr(time, "monotonic", lambda: made.now / 1000)
        steps = {name: made.step(name, 2.0) for name in ("plain", "other")}
        return len(interleaved_times(steps, "plain", CPU, seconds=1e9)["plain"])

    drawn = random.Random(0)
    quiet, noisy = rounds(lambda _: 1.0), rounds(lambda _: math.exp(drawn.gauss(0, 0.1)))
    assert quiet == 7
    # By hand: a ratio varies by 0.1 * sqrt(1/2 + 1/6) = 0.082, and 0.082 / sqrt(n) <= 0.008 takes 105 rounds.
    assert 70 <= noisy <= 140


def test_every_step_has_its_turn_in_each_round_in_orders_that_change(machine: Machine) -> None:
    steps = {name: machine.step(name, 1.0) for name in ("a", "b", "c")}
    times = interleaved_times(steps, "a", CPU, seconds=0)
    counted = machine.order[9:]  # after three passes of each to warm up
    turns = [counted[start : start + 10 : 2] for start in range(0, len(counted), 10)]

    assert [len(rounds) for rounds in times.values()] == [7, 7, 7], "so many rounds there are in any case"
    assert all(sorted(turn) == ["a", "a", "a", "b", "c"] for turn in turns), "the baseline has three turns"
    assert len({tuple(turn) for turn in turns}) > 1


def test_no_round_begins_after_its_time(machine: Machine) -> None:
    """The second step is never known well, and a round takes 8 s and more: after 100 s there are at most 13."""
    factors = itertools.cycle([1000.0, 2000.0, 3000.0])
    steps = {"plain": machine.step("plain", 1000.0), "wild": lambda: machine.step("wild", next(factors))()}
    times = interleaved_times(steps, "plain", CPU, seconds=100)
    assert 7 < len(times["plain"]) <= 13


def test_a_latency_is_the_trimmed_mean_of_the_ratios_with_their_quartiles() -> None:
    """Ratios round by round, of which the first and the last by size are left out: by SciPy's trimmed mean."""
    ratios = [1.5, 1.1, 1.2, 1.0, 1.3, 9.0, 1.25, 0.1, 1.15, 1.22]
    plain = [2.0, 4.0, 2.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.5, 2.0]
    other = [base * ratio for base, ratio in zip(plain, ratios, strict=True)]
    found = latencies_of({"plain": plain, "other": other}, "plain")["other"]

    assert found.ratio == pytest.approx(np.exp(trim_mean(np.log(ratios), 0.1)))
    assert (found.low, found.high) == pytest.approx(np.exp(np.quantile(np.log(ratios), (0.25, 0.75))))
    assert found.ms == pytest.approx(2.0 * found.ratio), "the baseline's median times the ratio"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system does not tell")
def test_one_thread_on_one_core_computes_and_all_is_as_before_afterwards() -> None:
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pinned(CPU):
            inside = torch.get_num_threads(), len(os.sched_getaffinity(0))
        assert inside == (1, 1)
        assert (torch.get_num_threads(), os.sched_getaffinity(0)) == (2, cores)
    finally:
        torch.set_num_threads(threads)


def test_what_really_computes_more_takes_longer() -> None:
    image = torch.randn(1, 8, 64, 64)
    one = nn.Conv2d(8, 8, 3, padding=1)
    many = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(8)))
    found = latencies_of(
        interleaved_times({"one": lambda: one(image), "many": lambda: many(image)}, "one", CPU, seconds=0.2), "one"
    )
    assert found["many"].ratio > 3
    assert not torch.is_inference_mode_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_timed_by_its_own_clock() -> None:
    device = torch.device("cuda")
    image = torch.randn(1, 8, 512, 512, device=device)
    one = nn.Conv2d(8, 8, 3, padding=1).to(device)
    many = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(40))).to(device)
    found = latencies_of(
        interleaved_times({"one": lambda: one(image), "many": lambda: many(image)}, "one", device, seconds=0.5),
        "one",
    )
    assert found["many"].ratio > 3
