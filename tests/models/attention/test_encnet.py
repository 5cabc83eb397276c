"""The context encoding module against its equations, its differences written out, and its closed forms."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.encnet import CodewordEncoding, ContextEncoding
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters

PHASES = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
VARIANTS = pytest.mark.parametrize("variant", ["paper", "code"])


@PHASES
@VARIANTS
@pytest.mark.parametrize(("channels", "codewords", "size"), [(6, 5, (4, 3)), (3, 1, (1, 5)), (1, 4, (1, 1))])
def test_context_encoding_follows_the_equations_of_its_paper(
    channels, codewords, size, variant, training, feature, spread, arrays
):
    module = spread(ContextEncoding(channels, codewords=codewords, variant=variant)).train(training)
    x, w = 0.5 * feature(3, channels, *size), arrays(module)
    z = np.einsum("nchw,dc->ndhw", x.numpy(), w["conv.weight"][:, :, 0, 0])
    z = np.maximum(_normalised(z, w, "conv_norm", 1, training), 0).reshape(3, channels, -1)
    codes = np.zeros((3, codewords, channels))
    for image in range(3):
        for i in range(z.shape[2]):
            differences = z[image, :, i] - w["encoding.codewords"]
            closeness = np.exp(-w["encoding.smoothing"] * (differences**2).sum(1))
            codes[image] += (closeness / closeness.sum())[:, None] * differences
    codes = np.maximum(_normalised(codes, w, "code_norm", 1, training), 0)
    code = codes.sum(1) if variant == "paper" else codes.mean(1)
    weights = 1 / (1 + np.exp(-(code @ w["excite.weight"].T + w["excite.bias"])))
    scaled = x.numpy() * weights[:, :, None, None]
    expected = scaled if variant == "paper" else np.maximum(x.numpy() + scaled, 0)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9, atol=1e-11)


def test_codes_and_their_gradients_equal_those_of_differences_written_out(spread):
    encoding, generator = spread(CodewordEncoding(4, 3)), torch.Generator().manual_seed(1)
    z = torch.randn(2, 4, 7, generator=generator, dtype=torch.float64).requires_grad_()
    differences = z.transpose(1, 2)[:, :, None] - encoding.codewords
    weights = torch.softmax(-encoding.smoothing * differences.square().sum(-1), -1)
    expected = (weights[..., None] * differences).sum(1)
    leaves = [z, *encoding.parameters()]
    cotangent = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(encoding(z), expected)
    torch.testing.assert_close(
        torch.autograd.grad(encoding(z), leaves, cotangent), torch.autograd.grad(expected, leaves, cotangent)
    )


@VARIANTS
@pytest.mark.parametrize(("channels", "codewords"), [(64, 32), (256, 32), (17, 5), (1, 1)])
def test_context_encoding_costs_its_closed_form(channels, codewords, variant):
    module = ContextEncoding(channels, codewords=codewords, variant=variant)
    parameters = 2 * channels**2 + 3 * channels + codewords * channels + 3 * codewords
    assert count_parameters(module) == parameters
    macs = 9 * 12 * (channels**2 + 2 * codewords * channels) + channels**2
    assert count_macs(module, (1, channels, 9, 12)) == macs


def test_context_encoding_has_the_sizes_of_the_published_table():
    assert [count_parameters(ContextEncoding(channels)) for channels in (64, 256)] == [10528, 140128]


@pytest.mark.parametrize("drawn", [False, True], ids=["as built", "drawn anew by a run"])
def test_codewords_start_small_and_smoothing_factors_between_zero_and_one(drawn):
    encoding = CodewordEncoding(64, 32)
    if drawn:
        nn.init.ones_(encoding.codewords)
        initialise(encoding, 2)
    bound = (64 * 32) ** -0.5
    assert 0.95 * bound < encoding.codewords.abs().max() <= bound
    assert 0 <= encoding.smoothing.min() < 0.2 < 0.8 < encoding.smoothing.max() <= 1


def test_context_encoding_does_not_care_where_in_the_map_a_value_stands(feature, spread):
    module, x = spread(ContextEncoding(4, codewords=3)).eval(), feature(2, 4, 3, 5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    moved = module(x.flatten(2)[:, :, order].view(x.shape)).flatten(2)
    torch.testing.assert_close(moved, module(x).flatten(2)[:, :, order])


def test_codes_keep_their_precision_under_autocast():
    encoding, generator = CodewordEncoding(8, 4), torch.Generator().manual_seed(1)
    with torch.no_grad():
        encoding.codewords.copy_(20 + torch.randn(4, 8, generator=generator))  # far from 0, near one another
    z = (20 + torch.randn(1, 8, 50, generator=generator)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = encoding(z)
    torch.testing.assert_close(codes.double(), encoding.double()(z.double()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("shape", "what"), [((1, 4, 1, 1), "a 1x1 map"), ((1, 1, 3, 3), "one channel")])
def test_context_encoding_explains_why_one_value_cannot_be_trained_on(shape, what, feature):
    module = ContextEncoding(shape[1]).double()
    with pytest.raises(
        AttentionError, match=rf"^encnet cannot be trained on a single image with {what}: batch.* at least 2"
    ):
        module(feature(*shape))
    assert module.eval()(feature(*shape)).isfinite().all()


def test_context_encoding_refuses_to_have_no_codewords():
    with pytest.raises(AttentionError, match=r"^encnet: codewords is 0; it must be a whole number of at least 1$"):
        ContextEncoding(8, codewords=0)


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_semantic_encoding_loss_asks_which_classes_are_in_each_image(weight, feature, spread, arrays):
    module = spread(ContextEncoding(6, classes=3, codewords=2, loss_weight=weight)).train()
    codes = []
    module.excite.register_forward_pre_hook(lambda _, inputs: codes.append(inputs[0].detach().numpy()))
    module(0.5 * feature(2, 6, 4, 3))
    masks = torch.tensor([[[0, 2], [255, 2]], [[1, 1], [1, 1]]], dtype=torch.uint8)
    w = arrays(module)
    asked = codes[0] @ w["presence.weight"].T + w["presence.bias"]
    there = np.array([[1, 0, 1], [0, 1, 0]])
    expected = weight * np.mean(np.log1p(np.exp(asked)) - there * asked)
    np.testing.assert_allclose(module.own_loss(masks, torch.zeros(2)).item(), expected, rtol=1e-9)
    assert module.own_loss(masks, torch.zeros(2)) == 0  # there was no further forward pass


def test_code_learns_which_classes_are_there():
    torch.manual_seed(0)
    module = ContextEncoding(4, classes=2, codewords=4)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    images = torch.randn(32, 4, 6, 6)
    masks = torch.zeros(32, 6, 6, dtype=torch.uint8)
    masks[::2, :2] = 1
    images[::2, 0, :2] += 3
    for _ in range(60):
        optimiser.zero_grad()
        module(images)
        module.own_loss(masks, torch.zeros(32)).backward()
        optimiser.step()
    module(images)
    asked = module.kept.take()[0][:, 1] > 0
    assert (asked == (torch.arange(32) % 2 == 0)).float().mean() > 0.9


def test_semantic_encoding_loss_costs_a_linear_map_and_no_macs():
    plain, taught = ContextEncoding(64), ContextEncoding(64, classes=5)
    assert count_parameters(taught) == count_parameters(plain) + 64 * 5 + 5
    assert count_macs(taught, (1, 64, 9, 12)) == count_macs(plain, (1, 64, 9, 12))
    assert count_parameters(ContextEncoding(64, classes=5, loss_weight=0.0)) == count_parameters(plain)


def test_nothing_is_kept_in_evaluation_or_copied(feature):
    module = ContextEncoding(4, classes=2).double()
    module.eval()(feature(2, 4, 3, 3))
    assert module.kept.take() == ()
    module.train()(feature(2, 4, 3, 3))
    assert copy.deepcopy(module).kept.take() == ()
    assert len(module.kept.take()) == 1


def _normalised(x, w, name, axis, training):
    """Batch normalisation of one axis over all others."""
    others = tuple(i for i in range(x.ndim) if i != axis)
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    mean = x.mean(others) if training else w[f"{name}.running_mean"]
    variance = x.var(others) if training else w[f"{name}.running_var"]
    scale = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + w[f"{name}.bias"].reshape(shape)
