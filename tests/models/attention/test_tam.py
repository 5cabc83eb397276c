"""The temporal adaptive module against its equations in NumPy, what it sees of a clip, and its closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_attn.errors import AttentionError
from nas_attn.models.attention.tam import TemporalAdaptive
from nas_attn.training.metrics import count_macs, count_parameters


def written_out(x: np.ndarray, w: dict[str, np.ndarray], frames: int) -> np.ndarray:
    """Equations 2 to 7, one channel and frame after the other."""
    clips = x.reshape(-1, frames, *x.shape[1:])
    y = np.zeros_like(clips)
    for clip, found in zip(clips, y, strict=True):
        means = clip.mean((2, 3)).T  # (C, T)
        hidden = np.maximum(0, normalised(along_frames(means, w["weigh.reduce.weight"]), w, "weigh.norm"))
        weights = 1 / (1 + np.exp(-w["weigh.excite.weight"][:, :, 0] @ hidden))
        for channel, mean in enumerate(means):
            wide = normalised((w["kernels.expand.weight"] @ mean)[:, None], w, "kernels.norm.norm")[:, 0]
            logits = w["kernels.squeeze.weight"] @ np.maximum(0, wide)
            kernel = np.exp(logits) / np.exp(logits).sum()
            for frame in range(frames):
                for place, share in enumerate(kernel):
                    other = frame + place - len(kernel) // 2
                    if 0 <= other < frames:
                        found[frame, channel] += share * weights[channel, other] * clip[other, channel]
    return y.reshape(x.shape)


def along_frames(means: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    taps = kernel.shape[2]
    padded = np.pad(means, ((0, 0), (taps // 2, taps // 2)))
    return sum(kernel[:, :, tap] @ padded[:, tap : tap + means.shape[1]] for tap in range(taps))


def normalised(values: np.ndarray, w: dict[str, np.ndarray], norm: str) -> np.ndarray:
    mean, variance, weight, bias = (
        w[f"{norm}.{part}"][:, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (values - mean) / np.sqrt(variance + 1e-5) * weight + bias


@pytest.mark.parametrize(
    ("channels", "frames", "options"),
    [(8, 4, {}), (5, 3, {"kernel": 5}), (1, 2, {}), (6, 8, {"expansion": 1, "reduction": 2})],
    ids=str,
)
def test_tam_follows_the_equations_of_its_paper(channels, frames, options, feature, spread, arrays):
    module = spread(TemporalAdaptive(channels, frames, **options)).eval()
    x = feature(3 * frames, channels, 4, 5)
    expected = written_out(x.numpy(), arrays(module), frames)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
def test_both_branches_look_at_as_many_frames_as_the_kernel_has(kernel):
    module = TemporalAdaptive(8, 6, kernel=kernel)
    assert module.weigh.reduce.kernel_size == (kernel,)
    assert module.kernels.squeeze.out_features == kernel


def test_the_order_of_the_frames_matters(feature, spread):
    module, x = spread(TemporalAdaptive(6, 4)).eval(), feature(4, 6, 3, 3)
    order = torch.tensor([2, 0, 3, 1])
    assert (module(x[order]) - module(x)[order]).abs().max() > 1e-3


def test_a_frame_sees_its_neighbours_through_the_kernel_and_the_others_through_the_weights_only(feature, spread):
    module, x = spread(TemporalAdaptive(4, 8)).eval(), feature(8, 4, 3, 3)
    slopes = torch.autograd.functional.jacobian(lambda x: module(x)[3, :, 1, 1], x)
    seen = slopes[:, :, :, 1, 1] - slopes[:, :, :, 0, 0]  # what came through the means is the same everywhere
    reach = seen.abs().amax((0, 2)) > 1e-9
    assert reach.nonzero().flatten().tolist() == [2, 3, 4]
    assert (slopes.abs().amax((0, 2, 3, 4)) > 1e-9).all()


def test_a_clip_does_not_change_the_next_one(feature, spread):
    module, x = spread(TemporalAdaptive(4, 3)).eval(), feature(6, 4, 3, 3)
    other = x.clone()
    other[:3] += 1
    assert torch.equal(module(x)[3:], module(other)[3:])


@pytest.mark.parametrize(("channels", "frames"), [(64, 8), (256, 8), (17, 4), (2, 2)])
def test_tam_costs_its_closed_form(channels, frames):
    module, hidden = TemporalAdaptive(channels, frames), max(1, channels // 4)
    weigh = 3 * channels * hidden + 2 * hidden + hidden * channels
    kernels = 2 * frames**2 + 4 * frames + 2 * frames * 3
    assert count_parameters(module) == weigh + kernels
    per_clip = channels * (2 * frames**2 + 2 * frames * 3) + frames * 4 * channels * hidden
    assert count_macs(module, (frames, channels, 9, 12)) == per_clip + 3 * channels * frames * 9 * 12


def test_its_sheet_has_the_same_costs():
    """Counted in another implementation, that of mmaction2 1.2.0, whose output is the same with equal weights."""
    assert [count_parameters(TemporalAdaptive(channels, 8)) for channels in (64, 256)] == [4336, 65872]
    assert count_macs(TemporalAdaptive(64, 8), (8, 64, 64, 64)) == pytest.approx(6.34e6, rel=0.02)


def test_a_part_of_a_clip_is_refused():
    with pytest.raises(AttentionError, match=r"^tam takes whole clips of 4 frames, and was given 6 images; give"):
        TemporalAdaptive(4, 4)(torch.zeros(6, 4, 3, 3))


def test_an_even_kernel_is_refused():
    with pytest.raises(AttentionError, match=r"^tam: kernel is 4; it must be 3 \| 5$"):
        TemporalAdaptive(4, 4, kernel=4)
