"""Temporal adaptive module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._clip import as_clips
from nas_attn.models.attention._layout import in_layout_of
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._precise import as_weights_of, precise
from nas_attn.models.attention._registry import attention, check_clips
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="tam",
    title="temporal adaptive module",
    paper="Liu et al. 2021, arXiv:2005.06803",
    family=Family.TEMPORAL,
    options=(
        Option("kernel", 3, "K, frames from which each frame is made", choices=(3, 5)),
        Option("expansion", 2, "alpha; the kernel comes from alpha * T hidden values", minimum=1),
        Option("reduction", 4, "beta; the weights come from C / beta channels, at least 1", minimum=1),
    ),
)


@attention(KIND)
class TemporalAdaptive(nn.Module):
    """Reweight the frames of a clip, then mix neighbours with kernels computed from the clip (Liu et al. 2021,
    arXiv:2005.06803, eq. 2 to 7).

        z = V(s) * x,  y_t = sum_k theta_k(s) z_(t+k),  s = mean_HW(x), for each channel and frame
        V = sigmoid(conv_1(relu(BN(conv_K(s)))))                            along the frames, over all channels
        theta = softmax_k(W_2 relu(BN(W_1 s_c)))                            for each channel by itself

    The clip is padded with zeros before its first and after its last frame. Details that the equations leave open
    follow the authors' code: no layer has a bias, and the first convolution of V looks at K frames.

    Args:
        channels: C of the input.
        frames: T of the clips, at least 2; it fixes the size of W_1.
        kernel: K, odd.
        expansion: alpha; W_1 leads from T to alpha * T values.
        reduction: beta; the hidden width of V is max(1, C // beta).
    Shape: (B * T, C, H, W), the frames of a clip one after another -> (B * T, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``frames`` is below 1, an option is not allowed, or a batch contains an
            incomplete clip.
    """

    def __init__(
        self, channels: int, frames: int, kernel: int = 3, expansion: int = 2, reduction: int = 4
    ) -> None:
        super().__init__()
        self.frames = frames
        self.weigh = FrameWeights(channels, max(1, channels // reduction), kernel)
        self.kernels = FrameKernels(frames, expansion * frames, kernel)

    def forward(self, x: Tensor) -> Tensor:
        check_clips(KIND.name, x, self.frames)
        means = as_clips(precise(x).mean((2, 3)), self.frames).transpose(1, 2)
        means = as_weights_of(self.weigh, means)
        weights = self.weigh(means).transpose(1, 2).flatten(0, 1)
        weighted = x * weights[:, :, None, None].to(x.dtype)
        mixed = mix_frames(as_clips(weighted, self.frames), self.kernels(means).to(x.dtype))
        return in_layout_of(x, mixed.flatten(0, 1))


class FrameWeights(nn.Module):
    """V: a weight from 0 to 1 for each channel and frame.

    Args:
        channels: C.
        hidden: channels between the two convolutions.
        kernel: number of frames that the first convolution looks at, odd.
    Shape: (B, C, T) -> (B, C, T).
    """

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.reduce = nn.Conv1d(channels, hidden, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.excite = nn.Conv1d(hidden, channels, 1, bias=False)

    def forward(self, means: Tensor) -> Tensor:
        weights: Tensor = self.excite(functional.relu(self.norm(self.reduce(means)))).sigmoid()
        return weights


class FrameKernels(nn.Module):
    """theta: a kernel over the frames for each channel of each clip, whose values sum to 1.

    Args:
        frames: T.
        hidden: width between the two layers.
        kernel: K.
    Shape: (B, C, T) -> (B, C, K).
    """

    def __init__(self, frames: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.expand = nn.Linear(frames, hidden, bias=False)
        self.norm = PooledNorm(hidden)
        self.squeeze = nn.Linear(hidden, kernel, bias=False)

    def forward(self, means: Tensor) -> Tensor:
        hidden = self.expand(means.flatten(0, 1))
        hidden = functional.relu(self.norm(hidden[:, :, None, None])).flatten(1)
        kernels: Tensor = self.squeeze(hidden).softmax(1)
        return kernels.view(*means.shape[:2], -1)


def mix_frames(clips: Tensor, kernels: Tensor) -> Tensor:
    """Each frame as a mixture of its neighbours, with a kernel for each channel of each clip.

    Shape: (B, T, C, H, W), (B, C, K) -> (B, T, C, H, W).
    """
    images, frames, channels, height, width = clips.shape
    rows = clips.transpose(1, 2).reshape(1, images * channels, frames, height * width)
    kernels = kernels.reshape(images * channels, 1, -1, 1)
    mixed = torch.conv2d(rows, kernels, padding=(kernels.shape[2] // 2, 0), groups=images * channels)
    return mixed.view(images, channels, frames, height, width).transpose(1, 2)
