"""The noise of a module: even, independent, and a function of key and step."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from nas_attn.models.attention._noise import StepNoise

MASK = 2**64 - 1


def at(key: int, step: int) -> StepNoise:
    noise = StepNoise()
    noise.begin_step(torch.tensor([step]), 100, key)
    return noise


@pytest.mark.parametrize("key", [0, 1, 2**63 - 1, 7 << 40])
def test_numbers_are_those_of_splitmix_in_whole_numbers_of_python(key):
    def mixed(z):
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    golden, step = 0x9E3779B97F4A7C15, 5
    stream = mixed((mixed(key) + golden * (step + 1)) & MASK)
    expected = [((mixed((stream + golden * (i + 1)) & MASK) >> 40) + 0.5) / 2**24 for i in range(12)]
    found = at(key, step).uniform(torch.empty(3, 4))
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-7)


def test_numbers_are_even_and_independent_of_one_another():
    drawn = torch.stack([at(key, step).uniform(torch.empty(20000)) for key in (1, 2) for step in (0, 1)])
    assert drawn.min() > 0
    assert drawn.max() < 1
    for row in drawn:
        counts = torch.histc(row, 20, 0, 1)
        assert ((counts - 1000) ** 2 / 1000).sum() < 45  # chi-square of 19 degrees: 1 in 1000
    correlations = torch.corrcoef(torch.cat([drawn, drawn.roll(1, 1)])).triu(1)
    assert correlations.abs().max() < 0.03


def test_key_and_step_each_change_all_numbers():
    like = torch.empty(50)
    base = at(3, 4).uniform(like)
    for other in (at(4, 4).uniform(like), at(3, 5).uniform(like)):
        assert not (other == base).any()
    assert torch.equal(at(3, 4).uniform(like), base)


def test_global_stream_is_left_alone_and_nothing_is_saved():
    before = torch.get_rng_state()
    noise = at(3, 4)
    drawn = noise.uniform(torch.empty(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert noise.state_dict() == {}
    assert torch.equal(copy.deepcopy(noise).uniform(torch.empty(5)), drawn)
