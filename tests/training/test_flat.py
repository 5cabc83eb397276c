"""Flat buffers: the same values seen twice, and one optimiser step over them that equals one per parameter."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.training import Recipe, initialise
from nas_attn.training.flat import FlatParameters, kernels_and_others
from nas_attn.training.muon import Muon, is_matrix
from nas_attn.training.optimiser import build_optimiser

NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)


def network(layout: torch.memory_format = torch.contiguous_format) -> nn.Module:
    placement = Placement.of({location: AttentionSpec("pam") for location in NETWORK.locations})
    module = build_unet(NETWORK, placement)
    initialise(module, 0)
    return module.to(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_values_and_memory_formats_survive(layout: torch.memory_format) -> None:
    module, before = network(layout), network(layout)
    FlatParameters.of(module)

    for (name, parameter), (_, old) in zip(module.named_parameters(), before.named_parameters(), strict=True):
        assert torch.equal(parameter, old), name
        assert parameter.stride() == old.stride(), name
        assert parameter.grad is not None, name
        assert parameter.grad.stride() == parameter.stride(), name


def test_parameters_and_gradients_are_views_of_the_buffers() -> None:
    module = network()
    flat = FlatParameters.of(module)
    with torch.no_grad():
        for buffer in flat.buffers:
            buffer.fill_(3.0)
            buffer.grad.fill_(4.0)

    assert all((parameter == 3.0).all() for parameter in module.parameters())
    assert all((parameter.grad == 4.0).all() for parameter in module.parameters())
    flat.zero_gradients()
    assert all((parameter.grad == 0.0).all() for parameter in module.parameters())


def test_every_parameter_begins_at_a_multiple_of_64_bytes() -> None:
    module = network()
    flat = FlatParameters.of(module)

    starts = [parameter.storage_offset() for parameter in module.parameters()]
    assert all(start % 16 == 0 for start in starts)
    assert sum(buffer.numel() for buffer in flat.buffers) < 16 * len(starts) + sum(
        parameter.numel() for parameter in module.parameters()
    )


def test_training_over_the_buffers_equals_training_each_parameter() -> None:
    """Three clipped AdamW steps; the norm of all gradients is summed in another order."""
    alone, joined = network(torch.channels_last), network(torch.channels_last)
    flat = FlatParameters.of(joined)
    separate = build_optimiser(*kernels_and_others(alone), Recipe())
    together = build_optimiser(flat.kernels, flat.others, Recipe())
    random = torch.Generator().manual_seed(0)
    for _ in range(3):
        inputs = torch.randn(2, 3, 16, 16, generator=random)
        for module, optimiser in ((alone, separate), (joined, together)):
            flat.zero_gradients()
            separate.zero_grad()
            module(inputs).square().mean().backward()
            norm = nn.utils.clip_grad_norm_(module.parameters() if module is alone else flat.buffers, 0.05)
            assert norm > 0.05
            optimiser.step()

    for (name, mine), (_, theirs) in zip(alone.named_parameters(), joined.named_parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_stacks_are_views_of_all_matrices_of_a_shape(layout: torch.memory_format) -> None:
    module, before = network(layout), network(layout)
    flat = FlatParameters.of(module, muon=True)
    matrices = [parameter for parameter in module.parameters() if is_matrix(parameter)]

    assert len(matrices) > len(flat.stacks) > 3
    assert sum(len(stack) for stack in flat.stacks) == len(matrices)
    for parameter, old in zip(module.parameters(), before.parameters(), strict=True):
        assert torch.equal(parameter, old)
    for number, stack in enumerate(flat.stacks, start=1):
        assert stack.grad is not None
        with torch.no_grad():
            stack.fill_(number)
            stack.grad.fill_(-number)
    numbers = {(len(stack[0]), len(stack[0, 0])): number for number, stack in enumerate(flat.stacks, start=1)}
    for parameter in matrices:
        number = numbers[parameter.shape[0], parameter.numel() // parameter.shape[0]]
        assert (parameter == number).all()
        assert (parameter.grad == -number).all()
    assert all(parameter.storage_offset() % 16 == 0 for parameter in module.parameters())


def test_muon_over_stacks_equals_muon_over_each_matrix() -> None:
    alone, joined = network(torch.channels_last), network(torch.channels_last)
    flat = FlatParameters.of(joined, muon=True)
    kernels = [parameter for parameter in alone.parameters() if is_matrix(parameter)]
    views = [nn.Parameter(_as_matrix(kernel.detach())) for kernel in kernels]
    separate, together = (Muon(stacks, lr=0.1, weight_decay=0.1, momentum=0.9) for stacks in (views, flat.stacks))
    random = torch.Generator().manual_seed(0)
    for _ in range(2):
        flat.zero_gradients()
        alone.zero_grad()
        inputs = torch.randn(2, 3, 16, 16, generator=random)
        for module in (alone, joined):
            module(inputs).square().mean().backward()
        for view, kernel in zip(views, kernels, strict=True):
            assert kernel.grad is not None
            view.grad = _as_matrix(kernel.grad)
        separate.step()
        together.step()

    for (name, mine), (_, theirs) in zip(alone.named_parameters(), joined.named_parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-5), name


def _as_matrix(kernel: torch.Tensor) -> torch.Tensor:
    columns = kernel.numel() // len(kernel)
    return kernel.as_strided((1, len(kernel), columns), (kernel.numel(), columns, 1))


def test_a_module_without_kernels_or_without_parameters_is_flattened_too() -> None:
    assert FlatParameters.of(nn.ReLU()).buffers == ()
    assert FlatParameters.of(nn.BatchNorm2d(3)).kernels == ()


def test_a_flattened_module_can_be_copied() -> None:
    module = network()
    FlatParameters.of(module)
    double = copy.deepcopy(module)
    with torch.no_grad():
        next(double.parameters()).fill_(7.0)

    assert not (next(module.parameters()) == 7.0).any()


def test_gradients_that_were_taken_away_are_bound_again() -> None:
    """Lightning's Trainer calls ``zero_grad`` before it begins."""
    module = nn.Conv2d(2, 3, 3)
    flat = FlatParameters.of(module)
    module.zero_grad()
    assert module.weight.grad is None
    flat.bind_gradients()
    module(torch.ones(1, 2, 4, 4)).sum().backward()

    assert float(flat.kernels[0].grad.sum()) == pytest.approx(3 * 2 * 9 * 4)  # type: ignore[union-attr]
    flat.zero_gradients()
    assert not module.weight.grad.any()
