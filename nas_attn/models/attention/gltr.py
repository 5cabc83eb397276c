"""Global-local temporal representations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.models.attention._clip import as_clips
from nas_attn.models.attention._precise import as_weights_of, precise
from nas_attn.models.attention._registry import attention, check_clips
from nas_attn.models.kind import AttentionKind, Family, Option

_LEAST_COMPARED = 4

KIND = AttentionKind(
    name="gltr",
    title="global-local temporal representation",
    paper="Li et al. 2019, arXiv:1908.10049",
    family=Family.TEMPORAL,
    options=(
        Option("branches", 3, "N, temporal convolutions side by side, of dilation 1, 2, 4 ...", minimum=1),
        Option("reduction", 4, "the convolutions work on C / reduction channels, at least 1", minimum=1),
        Option(
            "query_reduction",
            8,
            "alpha; frames are compared on 1 / alpha of their channels, at least 4",
            minimum=1,
        ),
    ),
    starts_as_identity=True,
)


@attention(KIND)
class GlobalLocalTemporal(nn.Module):
    """Add to each frame features of its neighbours and its clip (Li et al. 2019, arXiv:1908.10049, sections 3.2
    and 3.3).

        y_t = x_t + W_out r_t, added at every position,  s = W_in mean_HW(x)
        f = (relu(BN(conv_3(s; dilation 2^n))), n = 0 ... N - 1), concatenated                     (short term)
        r = softmax_T'(q k^T) v + f,  q, k = relu(BN(W f)),  v = W_v f + b                          (long term)

    The paper describes a whole clip, to find a person again, and takes the mean of r over the frames. A U-Net has
    labels for each frame, so each frame keeps its own r, and W_out, which starts at zero, brings it back to C
    channels. W_in keeps the cost small. No code of the authors is known. The same vector is added at every
    position: it describes the frame or its clip, not one of several things in it.

    Args:
        channels: C of the input.
        frames: T of the clips, at least 2; no weight depends on it.
        branches: N.
        reduction: the width of s and of each branch is max(1, C // reduction).
        query_reduction: alpha; the width of q and k is max(4, N * width // alpha), since fewer channels are soon
            all 0 behind their relu.
    Shape: (B * T, C, H, W), the frames of a clip one after another -> (B * T, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``frames`` is below 1, an option is not allowed, or a batch contains an
            incomplete clip.
    """

    def __init__(
        self, channels: int, frames: int, branches: int = 3, reduction: int = 4, query_reduction: int = 8
    ) -> None:
        super().__init__()
        self.frames = frames
        width = max(1, channels // reduction)
        wide = branches * width
        self.reduce = nn.Conv1d(channels, width, 1)
        self.pyramid = nn.ModuleList(_branch(width, width, 3, 2**place) for place in range(branches))
        compared = max(_LEAST_COMPARED, wide // query_reduction)
        self.query = _branch(wide, compared, 1)
        self.key = _branch(wide, compared, 1)
        self.value = nn.Conv1d(wide, wide, 1)
        self.restore = ZeroStartMap(wide, channels)

    def forward(self, x: Tensor) -> Tensor:
        check_clips(KIND.name, x, self.frames)
        means = as_clips(precise(x).mean((2, 3)), self.frames).transpose(1, 2)
        reduced = self.reduce(as_weights_of(self.reduce, means))
        local = torch.cat([branch(reduced) for branch in self.pyramid], 1)
        likeness = torch.bmm(self.query(local).transpose(1, 2), self.key(local)).softmax(2)
        both = torch.bmm(self.value(local), likeness.transpose(1, 2).to(local.dtype)) + local
        told: Tensor = self.restore(both).transpose(1, 2).flatten(0, 1)
        return x + told[:, :, None, None].to(x.dtype)


def _branch(entering: int, leaving: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    conv = nn.Conv1d(entering, leaving, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(leaving), nn.ReLU())


class ZeroStartMap(nn.Conv1d):
    """Linear map of the channels that starts at zero, so that its branch adds nothing at first.

    Args:
        entering: channels of the input.
        leaving: channels of the output.
    Shape: (B, entering, T) -> (B, leaving, T).
    """

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__(entering, leaving, 1)

    def reset_parameters(self) -> None:
        """Set all weights to 0."""
        for weights in self.parameters():
            nn.init.zeros_(weights)
