"""Global-local temporal representations against their equations in NumPy, what a frame sees, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.gltr import GlobalLocalTemporal
from nas_attn.training.metrics import count_macs, count_parameters


def written_out(x: np.ndarray, w: dict[str, np.ndarray], frames: int, branches: int) -> np.ndarray:
    """Short term by dilated sums, long term by weights between all pairs of frames."""
    y = x.copy().reshape(-1, frames, *x.shape[1:])
    for clip in y:
        s = w["reduce.weight"][:, :, 0] @ clip.mean((2, 3)).T + w["reduce.bias"][:, None]
        f = np.concatenate([rectified(dilated(s, w[f"pyramid.{n}.0.weight"], 2**n), w, f"pyramid.{n}.1")
                            for n in range(branches)])  # fmt: skip
        q, k = (rectified(w[f"{name}.0.weight"][:, :, 0] @ f, w, f"{name}.1") for name in ("query", "key"))
        v = w["value.weight"][:, :, 0] @ f + w["value.bias"][:, None]
        r = f.copy()
        for frame in range(frames):
            likeness = np.exp(q[:, frame] @ k)
            r[:, frame] += v @ (likeness / likeness.sum())
        clip += (w["restore.weight"][:, :, 0] @ r + w["restore.bias"][:, None]).T[:, :, None, None]
    return y.reshape(x.shape)


def dilated(s: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    found = np.zeros((len(kernel), s.shape[1]))
    for frame in range(s.shape[1]):
        for tap in range(3):
            other = frame + (tap - 1) * dilation
            if 0 <= other < s.shape[1]:
                found[:, frame] += kernel[:, :, tap] @ s[:, other]
    return found


def rectified(values: np.ndarray, w: dict[str, np.ndarray], norm: str) -> np.ndarray:
    mean, variance, weight, bias = (
        w[f"{norm}.{part}"][:, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum(0, (values - mean) / np.sqrt(variance + 1e-5) * weight + bias)


@pytest.mark.parametrize(
    ("channels", "frames", "options"),
    [
        (8, 4, {}),
        (5, 3, {"branches": 1}),
        (1, 2, {}),
        (12, 9, {"branches": 4, "reduction": 2, "query_reduction": 2}),
    ],
    ids=str,
)
def test_gltr_follows_the_equations_of_its_paper(channels, frames, options, feature, spread, arrays):
    module = spread(GlobalLocalTemporal(channels, frames, **options)).eval()
    x = feature(3 * frames, channels, 4, 5)
    expected = written_out(x.numpy(), arrays(module), frames, options.get("branches", 3))
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_every_frame_sees_every_other_one(feature, spread):
    module, x = spread(GlobalLocalTemporal(16, 16)).eval(), feature(16, 16, 2, 2)
    slopes = torch.autograd.functional.jacobian(lambda x: module(x)[:, :, 0, 0].sum(1), x)
    assert (slopes.abs().amax((2, 3, 4)) > 0).all()


def test_without_the_long_term_a_frame_sees_as_far_as_the_widest_branch(feature, spread):
    module, x = spread(GlobalLocalTemporal(16, 16)).eval(), feature(16, 16, 2, 2)
    torch.nn.init.zeros_(module.value.weight)
    slopes = torch.autograd.functional.jacobian(lambda x: module(x)[8, :, 0, 0].sum(), x)
    seen = (slopes.abs().amax((1, 2, 3)) > 1e-12).nonzero().flatten().tolist()
    assert set(seen) <= {4, 6, 7, 8, 9, 10, 12}
    assert {4, 12} & set(seen)


def test_it_adds_the_same_at_every_position(feature, spread):
    module, x = spread(GlobalLocalTemporal(6, 4)).eval(), feature(8, 6, 5, 4)
    added = module(x) - x
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added))
    assert added.abs().max() > 1e-3


@pytest.mark.parametrize("channels", [64, 256, 17, 1])
def test_gltr_costs_its_closed_form(channels):
    module = GlobalLocalTemporal(channels, 8)
    d = max(1, channels // 4)
    wide, e = 3 * d, max(4, 3 * d // 8)
    reduce, pyramid = channels * d, 3 * 3 * d * d
    compare, value, restore = 2 * wide * e, wide * wide, wide * channels
    weights = reduce + pyramid + compare + value + restore
    assert count_parameters(module) == weights + d + 3 * 2 * d + 2 * 2 * e + wide + channels
    assert count_macs(module, (8, channels, 9, 12)) == 8 * weights + 8 * 8 * (e + wide)


def test_its_sheet_has_the_same_parameters():
    assert [count_parameters(GlobalLocalTemporal(channels, 8)) for channels in (64, 256)] == [9528, 149472]


def test_a_part_of_a_clip_is_refused():
    with pytest.raises(AttentionError, match=r"^gltr takes whole clips of 4 frames, and was given 6 images; give"):
        GlobalLocalTemporal(4, 4)(torch.zeros(6, 4, 3, 3))
