"""What the tests of the attention modules share: inputs, weights, and the comparison with another library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

Arrays = dict[str, np.ndarray]


@pytest.fixture
def feature() -> Callable[..., Tensor]:
    """A feature map of float64 whose channels differ from one another and from image to image."""

    def make(*shape: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return values + torch.randn(shape[:2], generator=generator, dtype=torch.float64)[:, :, None, None]

    return make


@pytest.fixture
def spread() -> Callable[[nn.Module], nn.Module]:
    """The module in float64 with every weight and running statistic away from its start."""
    return _spread


@pytest.fixture
def arrays() -> Callable[[nn.Module], Arrays]:
    """All weights and running statistics as NumPy arrays, by name."""
    return lambda module: {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


@pytest.fixture
def convolved() -> Callable[..., np.ndarray]:
    """A convolution with zero padding, written out: (N, C, H, W) by (D, C / groups, k, k)."""
    return _convolved


@pytest.fixture
def reference() -> Callable[[str], ModuleType]:
    """Import another library; the test is skipped where it is not installed."""

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs, not ours
            module: ModuleType = pytest.importorskip(name)
            return module

    return load


@pytest.fixture
def assert_same_function() -> Callable[..., None]:
    """Two modules give the same outputs and input gradients, in evaluation and in training, and would not if
    any weight were different. ``layers`` has the name of our layer for each of theirs that holds weights."""

    def check(
        ours: nn.Module,
        theirs: nn.Module,
        layers: Mapping[str, str],
        *inputs: Tensor,
        adapt: Callable[[nn.Module], object] = lambda theirs: None,
    ) -> None:
        _copy(_spread(ours), theirs.double(), layers)
        adapt(theirs)
        for training in (False, True):
            ours.train(training)
            theirs.train(training)
            torch.testing.assert_close(
                _output_and_gradients(ours, inputs), _output_and_gradients(theirs, inputs), rtol=1e-9, atol=1e-9
            )
        _assert_every_weight_matters(ours.eval(), inputs)

    return check


def _convolved(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, dilation: int = 1, groups: int = 1
) -> np.ndarray:
    side, (height, width) = kernel.shape[-1], x.shape[2:]
    margin = side // 2 * dilation
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    y = np.zeros((len(x), len(kernel), height, width))
    entering, leaving = x.shape[1] // groups, len(kernel) // groups
    for group in range(groups):
        into = slice(group * leaving, (group + 1) * leaving)
        part = padded[:, group * entering : (group + 1) * entering]
        for i in range(side):
            for j in range(side):
                seen = part[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
                y[:, into] += np.einsum("nchw,dc->ndhw", seen, kernel[into, :, i, j])
    return y if bias is None else y + bias[:, None, None]


def _spread(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(7)
    module.double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                tensor.normal_(0, 0.4, generator=generator)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return module


def _copy(ours: nn.Module, theirs: nn.Module, layers: Mapping[str, str]) -> None:
    our_state, their_state = ours.state_dict(), theirs.state_dict()
    assert len(our_state) == len(their_state)
    for name, tensor in their_state.items():
        layer, _, part = name.rpartition(".")
        tensor.copy_(our_state[f"{layers[layer]}.{part}"].reshape(tensor.shape))


def _output_and_gradients(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = module(*leaves)
    cotangent = torch.randn(output.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return [output, *torch.autograd.grad(output, leaves, cotangent)]


def _assert_every_weight_matters(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    with torch.no_grad():
        before = module(*inputs)
        for name, weight in module.named_parameters():
            kept = weight.clone()
            weight.add_(torch.linspace(0.3, 0.7, weight.numel(), dtype=weight.dtype).view_as(weight))
            assert (module(*inputs) - before).abs().max() > 1e-4, f"{name} makes no difference"
            weight.copy_(kept)
