"""The bottleneck attention module against its equations, its closed forms and its reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.bam import BottleneckAttention
from nas_attn.training.metrics import count_macs, count_parameters


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("channels", "reduction", "dilation"), [(8, 4, 4), (5, 2, 1), (1, 16, 2)])
def test_bam_follows_the_equations_of_its_paper(channels, reduction, dilation, training, feature, spread, arrays):
    module = spread(BottleneckAttention(channels, reduction=reduction, dilation=dilation)).train(training)
    x = feature(3, channels, 6, 9)
    w = arrays(module)
    by_channel = np.maximum(_conv(x.numpy().mean((2, 3), keepdims=True), w, "channel.0"), 0)
    by_channel = _normalised(_conv(by_channel, w, "channel.2"), w, "channel.3.norm", training)
    by_position = np.maximum(_conv(x.numpy(), w, "position.0"), 0)
    for layer in ("position.2", "position.4"):
        by_position = np.maximum(_conv(by_position, w, layer, dilation), 0)
    by_position = _normalised(_conv(by_position, w, "position.6"), w, "position.7", training)
    expected = x.numpy() * (1 + _sigmoid(by_channel + by_position))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_bam_multiplies_branches_with_normalised_hidden_layers_as_in_the_code_of_its_authors(
    training, feature, spread, arrays
):
    module = spread(BottleneckAttention(8, reduction=4, variant="code")).train(training)
    x = feature(3, 8, 6, 9)
    w = arrays(module)
    by_channel = _conv(x.numpy().mean((2, 3), keepdims=True), w, "channel.0")
    by_channel = _conv(np.maximum(_normalised(by_channel, w, "channel.1.norm", training), 0), w, "channel.3")
    by_position = x.numpy()
    for layer, norm, dilation in (("0", "1", 1), ("3", "4", 4), ("6", "7", 4)):
        by_position = _conv(by_position, w, f"position.{layer}", dilation)
        by_position = np.maximum(_normalised(by_position, w, f"position.{norm}", training), 0)
    by_position = _conv(by_position, w, "position.9")
    expected = x.numpy() * (1 + _sigmoid(by_channel * by_position))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_bam_sees_twice_the_dilation_in_every_direction(variant, spread):
    module = spread(BottleneckAttention(2, dilation=3, variant=variant)).eval()
    with torch.no_grad():
        for parameter in module.position.parameters():
            parameter.abs_()  # no relu is shut
        for name, buffer in module.position.named_buffers():
            buffer.fill_(1 if name.endswith("var") else 0)
    x = torch.ones(1, 2, 17, 17, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module.position(x)[0, 0, 8, 8], x)
    offsets = [offset for offset in range(17) if gradient[0, 0, offset].any()]
    assert offsets == [2, 5, 8, 11, 14]
    assert torch.equal(gradient[0, 0].bool(), gradient[0, 0].T.bool())


@pytest.mark.parametrize(("channels", "hidden"), [(64, 4), (256, 16), (17, 1)])
@pytest.mark.parametrize("variant", ["paper", "code"])
def test_bam_costs_its_closed_form(channels, hidden, variant):
    module = BottleneckAttention(channels, variant=variant, min_hidden=1)
    layers = 2 * channels * hidden + hidden + channels  # of the channel branch, then of the position branch
    layers += channels * hidden + hidden + 2 * (9 * hidden**2 + hidden) + hidden + 1
    norms = 2 * channels + 2 if variant == "paper" else 2 * 4 * hidden
    assert count_parameters(module) == layers + norms
    per_position = channels * hidden + 18 * hidden**2 + hidden
    assert count_macs(module, (1, channels, 9, 12)) == 2 * channels * hidden + 9 * 12 * per_position


def test_bam_of_the_authors_code_has_its_size():
    sizes = [
        count_parameters(BottleneckAttention(channels, variant="code", min_hidden=1)) for channels in (64, 256)
    ]
    assert sizes == [1173, 17361]


def test_bam_trains_on_a_single_image(feature, spread):
    module, x = spread(BottleneckAttention(4)), feature(1, 4, 5, 5)
    mean = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(module.train().channel(mean), module.eval().channel(mean))
    assert module.train()(x).isfinite().all()


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_bam_explains_why_one_value_cannot_be_trained_on(variant, feature):
    module = BottleneckAttention(4, variant=variant).double()
    with pytest.raises(AttentionError, match=r"^bam cannot be trained on a single image with a 1x1 map: "):
        module(feature(1, 4, 1, 1))


def test_bam_refuses_what_it_cannot_use():
    with pytest.raises(AttentionError) as refused:
        BottleneckAttention(8, dilation=0, variant="product")
    assert refused.value.problems == (
        "bam: dilation is 0; it must be a whole number of at least 1",
        "bam: variant is 'product'; it must be paper | code",
    )


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _conv(x, w, name, dilation=1):
    kernel = w[f"{name}.weight"]
    reach = kernel.shape[-1] // 2 * dilation
    padded = np.pad(x, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    height, width = x.shape[2:]
    answer = np.zeros((len(x), len(kernel), height, width)) + w[f"{name}.bias"][:, None, None]
    for i in range(kernel.shape[2]):
        for j in range(kernel.shape[3]):
            seen = padded[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
            answer += np.einsum("nchw,dc->ndhw", seen, kernel[:, :, i, j])
    return answer


def _normalised(x, w, name, training):
    mean = x.mean((0, 2, 3)) if training else w[f"{name}.running_mean"]
    variance = x.var((0, 2, 3)) if training else w[f"{name}.running_var"]
    factor = w[f"{name}.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * factor[:, None, None] + w[f"{name}.bias"][:, None, None]
