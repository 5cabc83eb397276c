"""BatchNorm statistics of the final weights are the plain average over the batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.models.unet.layers import GroupNorm
from nas_attn.training import recalibrate_batchnorm


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def batches(count: int = 5) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(4, 2, 6, 6, generator=random) * (1 + index) + index for index in range(count)]


def test_statistics_are_the_plain_average_over_the_batches() -> None:
    module = network()
    seen: dict[int, list[np.ndarray]] = {1: [], 4: []}
    for index, values in seen.items():
        module[index].register_forward_pre_hook(
            lambda _, inputs, values=values: values.append(inputs[0].detach().double().numpy())
        )
    module.train()(torch.full((4, 2, 6, 6), 1000.0))  # statistics of weights that have since changed
    for values in seen.values():
        values.clear()
    recalibrate_batchnorm(module, batches(), module)

    for index, values in seen.items():
        assert len(values) == 5
        means = np.mean([batch.mean((0, 2, 3)) for batch in values], axis=0)
        variances = np.mean([batch.var((0, 2, 3), ddof=1) for batch in values], axis=0)
        assert np.allclose(module[index].running_mean.numpy(), means, rtol=1e-4, atol=1e-5)
        assert np.allclose(module[index].running_var.numpy(), variances, rtol=1e-4)


def test_momenta_come_back_and_weights_stay() -> None:
    module = network()
    module[1].momentum = 0.3
    before = {name: tensor.clone() for name, tensor in module.named_parameters()}
    recalibrate_batchnorm(module, batches(), module)

    assert (module[1].momentum, module[4].momentum) == (0.3, 0.1)
    assert not any(child.training for child in module.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.named_parameters())


def test_momenta_come_back_after_a_failure() -> None:
    module = network()

    def fail(batch: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        recalibrate_batchnorm(module, batches(), fail)
    assert (module[1].momentum, module[4].momentum) == (0.1, 0.1)


def test_group_norm_is_untouched_and_calls_for_no_batch() -> None:
    module = nn.Sequential(nn.Conv2d(2, 4, 1), GroupNorm(4, groups=2))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    called = []
    recalibrate_batchnorm(module, batches(), called.append)  # type: ignore[arg-type]

    assert called == []
    assert not module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_norm_without_running_statistics_is_left_alone() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    recalibrate_batchnorm(module, batches(), module)

    assert module[1].running_mean is None
