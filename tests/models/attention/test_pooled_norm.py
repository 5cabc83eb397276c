"""Batch normalisation of pooled maps: PyTorch's, and a single value by the running statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.models.attention._pooled_norm import PooledNorm


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 1, 2)], ids=str)
def test_two_values_are_normalised_as_pytorch_does(shape, training, feature, spread):
    ours, theirs = spread(PooledNorm(3)).train(training), nn.BatchNorm2d(3).double().train(training)
    theirs.load_state_dict(ours.norm.state_dict())
    x = feature(*shape)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.norm.state_dict(), theirs.state_dict())


def test_a_single_value_is_normalised_in_training_as_in_evaluation(feature, spread):
    module, x = spread(PooledNorm(3)), feature(1, 3, 1, 1)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert torch.equal(module.train()(x), module.eval()(x))
    torch.testing.assert_close(module.state_dict(), before)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module.train().norm(x)
