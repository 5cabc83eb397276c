"""The non-local block against its equation, timm and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention.non_local import NonLocalBlock
from nas_attn.training import initialise
from nas_attn.training.metrics import count_macs, count_parameters

MODES = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


@MODES
@pytest.mark.parametrize(
    ("channels", "options", "size"),
    [
        (8, {}, (4, 6)),
        (8, {}, (5, 7)),
        (8, {"pool": 1}, (3, 4)),
        (6, {"reduction": 3, "scale": False}, (1, 5)),
        (1, {}, (1, 1)),
        (8, {"pairing": "gaussian"}, (5, 4)),
        (6, {"pairing": "gaussian", "scale": False, "pool": 1}, (3, 4)),
        (8, {"pairing": "dot"}, (5, 7)),
        (8, {"pairing": "concat", "pool": 1}, (3, 4)),
        (6, {"pairing": "concat"}, (5, 4)),
    ],
    ids=str,
)
def test_non_local_block_follows_the_equation_of_its_paper(
    channels, options, size, training, feature, spread, arrays
):
    module = spread(NonLocalBlock(channels, **options)).train(training)
    x, w = feature(2, channels, *size), arrays(module)
    pooled = _pooled(x.numpy(), options.get("pool", 2))
    pairing = options.get("pairing", "embedded")
    v = _conv(pooled, w, "value")
    q, k = x.numpy().reshape(2, channels, -1), pooled.reshape(2, channels, -1)
    if pairing != "gaussian":
        q, k = _conv(x.numpy(), w, "query"), _conv(pooled, w, "key")
    root = np.sqrt(q.shape[1]) if options.get("scale", True) else 1.0
    heard = np.zeros((2, v.shape[1], q.shape[2]))
    for image in range(2):
        for i in range(q.shape[2]):
            f = _compared(pairing, q[image, :, i], k[image], root, w)
            heard[image, :, i] = v[image] @ f
    added = _normalised(_conv(heard[..., None], w, "project").reshape(x.shape), w, training)
    np.testing.assert_allclose(module(x).detach().numpy(), x.numpy() + added, rtol=1e-9, atol=1e-11)


@MODES
@pytest.mark.parametrize("channels", [64, 256])
def test_non_local_block_and_its_input_gradients_equal_those_of_timm(
    channels, training, feature, spread, reference
):
    ours = spread(NonLocalBlock(channels, pool=1)).train(training)
    theirs = reference("timm.layers").NonLocalAttn(channels, rd_channels=channels // 2).double().train(training)
    theirs.scale = (channels // 2) ** -0.5  # timm divides by the root of all channels
    names = {"t": "query", "p": "key", "g": "value", "z": "project", "norm": "norm"}
    state = ours.state_dict()
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            layer, _, part = name.partition(".")
            own = f"norm.norm.{part}" if part.startswith(("running", "num")) else f"{names[layer]}.{part}"
            tensor.copy_(state[own])
    x, cotangent = feature(2, channels, 6, 5).requires_grad_(), feature(2, channels, 6, 5, seed=2)
    (ours_x, theirs_x) = (torch.autograd.grad(module(x), x, cotangent) for module in (ours, theirs))
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours_x, theirs_x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("channels", "hidden"), [(64, 32), (256, 128), (17, 8), (1, 1)])
@pytest.mark.parametrize(("pool", "keys"), [(1, 9 * 12), (2, 5 * 6)])
def test_non_local_block_costs_its_closed_form(channels, hidden, pool, keys):
    module, positions = NonLocalBlock(channels, pool=pool), 9 * 12
    assert count_parameters(module) == 4 * channels * hidden + 3 * hidden + 3 * channels
    convolutions = 2 * (positions + keys) * channels * hidden
    assert count_macs(module, (1, channels, 9, 12)) == convolutions + 2 * positions * keys * hidden


@pytest.mark.parametrize(
    ("pairing", "parameters", "macs"),
    [
        ("gaussian", 2 * 64 * 32 + 32 + 3 * 64, 138 * 64 * 32 + 108 * 30 * (64 + 32)),
        ("dot", 8480, 276 * 64 * 32 + 138 * 32 * 32),
        ("concat", 8480 + 64, 276 * 64 * 32 + 138 * 32 + 108 * 30 * 32),
    ],
)
def test_the_other_pairings_cost_their_closed_forms(pairing, parameters, macs):
    module = NonLocalBlock(64, pairing=pairing)  # 9 * 12 = 108 positions, 5 * 6 = 30 pooled
    assert count_parameters(module) == parameters
    assert count_macs(module, (1, 64, 9, 12)) == macs


def test_non_local_block_has_the_sizes_of_the_published_table():
    assert [count_parameters(NonLocalBlock(channels)) for channels in (64, 256)] == [8480, 132224]


@pytest.mark.parametrize("drawn", [False, True], ids=["as built", "drawn anew by a run"])
def test_non_local_block_starts_as_an_exact_identity_that_can_learn(drawn, feature):
    module, x = NonLocalBlock(8), feature(2, 8, 5, 4).float()
    if drawn:
        nn.init.ones_(module.norm.weight)
        initialise(module, 4)
    output = module(x)
    assert torch.equal(output, x)
    (output * feature(2, 8, 5, 4, seed=1)).sum().backward()
    assert module.norm.weight.grad.abs().min() > 1e-3


def test_non_local_block_moves_its_running_statistics_by_a_tenth(feature):
    module = NonLocalBlock(4).double()
    with torch.no_grad():
        module.project.weight.zero_()
        module.project.bias.fill_(5.0)
    module(feature(2, 4, 3, 3))
    torch.testing.assert_close(module.norm.norm.running_mean, torch.full((4,), 0.5).double())
    torch.testing.assert_close(module.norm.norm.running_var, torch.full((4,), 0.9).double())


def test_non_local_block_explains_why_one_value_cannot_be_trained_on(feature):
    found = r"^nonlocal cannot be trained on a single image with a 1x1 map: .*at least 2"
    with pytest.raises(AttentionError, match=found):
        NonLocalBlock(4).double()(feature(1, 4, 1, 1))


def test_non_local_block_refuses_to_pool_by_four():
    with pytest.raises(AttentionError, match=r"^nonlocal: pool is 4; it must be 1 \| 2$"):
        NonLocalBlock(8, pool=4)


def _compared(pairing, q, k, root, w):
    """What position i, q, has to do with each j; k: (d, P)."""
    products = np.array([q @ k[:, j] for j in range(k.shape[1])])
    if pairing == "dot":
        return products / len(products)
    if pairing == "concat":
        of_both = np.concatenate((w["of_query.weight"].ravel(), w["of_key.weight"].ravel()))
        found = [max(0.0, of_both @ np.concatenate((q, k[:, j]))) for j in range(k.shape[1])]
        return np.array(found) / len(found)
    weights = np.exp(products / root)
    return weights / weights.sum()


def _pooled(x, side):
    rows, columns = range(0, x.shape[2], side), range(0, x.shape[3], side)
    return np.array([[x[:, :, i : i + side, j : j + side].max((2, 3)) for j in columns] for i in rows]).transpose(
        2, 3, 0, 1
    )


def _conv(x, w, name):
    """The 1x1 convolution of a map, its positions in one row."""
    flat = x.reshape(*x.shape[:2], -1)
    return np.einsum("ncp,dc->ndp", flat, w[f"{name}.weight"][:, :, 0, 0]) + w[f"{name}.bias"][:, None]


def _normalised(x, w, training):
    mean = x.mean((0, 2, 3)) if training else w["norm.norm.running_mean"]
    variance = x.var((0, 2, 3)) if training else w["norm.norm.running_var"]
    scale = w["norm.weight"] / np.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + w["norm.bias"][:, None, None]
