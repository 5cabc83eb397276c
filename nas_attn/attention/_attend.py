"""Every position looks at every other: one result, computed in the way that fits the size and the device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

MAX_PLAIN_POSITIONS = 4096
GPU_HEAD_WIDTH = 64
WIDTH_STEP = 8


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """For each position the values of all positions, weighted: sum_j softmax_j(q_i . k_j) v_j.

    All forms are exact. Up to 4096 positions the plain form is the fastest to train on a CPU; it holds P^2
    weights. Beyond, and always on a GPU, a fused kernel holds none. On the meta device the plain form stands
    for all: its multiplications are those of the equation, without the padding that the fused kernels want.

    Shape: (N, d, P), (N, d, P), (N, C, P) -> (N, C, P) for P positions; d at most C.
    """
    device = queries.device.type
    if device == "meta" or (device != "cuda" and queries.shape[2] <= MAX_PLAIN_POSITIONS):
        return attend_plainly(queries, keys, values)
    return attend_fused(queries, keys, values, _head_width(queries, values))


def attend_plainly(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The equation as it stands, with logits and softmax in fp32 or better: unscaled products overflow fp16.

    Shape: (N, d, P), (N, d, P), (N, C, P) -> (N, C, P).
    """
    with _without_autocast(queries.device.type):
        precise = torch.promote_types(queries.dtype, torch.float32)
        weights = torch.bmm(queries.to(precise).transpose(1, 2), keys.to(precise)).softmax(-1)
        return torch.bmm(values, weights.to(values.dtype).transpose(1, 2))


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, width: int) -> Tensor:
    """The same without the P x P weights, by PyTorch's fused kernels.

    These want queries, keys and values of one width and contiguous rows, and otherwise fall back silently to a
    form that holds all weights. So the values are cut into heads of ``width`` channels, each of which meets
    the same queries and keys; what is narrower is padded with zeros, which change no product.

    Args:
        queries, keys: (N, d, P).
        values: (N, C, P).
        width: channels of a head, at least d; a multiple of 8, as half precision kernels want it (and never 1:
            a last dimension of 1 counts as contiguous whatever its stride, but not to the kernels).
    Shape: -> (N, C, P).
    """
    channels = values.shape[1]
    heads = -(-channels // width)
    answers = functional.scaled_dot_product_attention(
        _rows(queries, 1, width).expand(-1, heads, -1, -1).contiguous(),
        _rows(keys, 1, width).expand(-1, heads, -1, -1).contiguous(),
        _rows(values, heads, width),
        scale=1.0,
    )
    return answers.transpose(2, 3).flatten(1, 2)[:, :channels]


def _head_width(queries: Tensor, values: Tensor) -> int:
    hidden, channels = queries.shape[1], values.shape[1]
    if queries.device.type == "cuda":
        width = max(hidden, min(channels, GPU_HEAD_WIDTH))
    else:
        # Narrow heads give the CPU's backward pass something to share out; where there is no backward pass, a
        # single wide head finds the weights only once.
        width = hidden if torch.is_grad_enabled() else channels
    return -(-width // WIDTH_STEP) * WIDTH_STEP


def _rows(x: Tensor, heads: int, width: int) -> Tensor:
    """(N, C, P) -> (N, heads, P, width), contiguous, with zeros where C is too small."""
    images, channels, positions = x.shape
    padded = functional.pad(x, (0, 0, 0, heads * width - channels))
    return padded.view(images, heads, width, positions).transpose(2, 3).contiguous()


def _without_autocast(device: str) -> AbstractContextManager[object]:
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
