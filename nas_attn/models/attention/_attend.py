"""Every position looks at every other: one result, computed in the way that fits the size and the device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch.nn import functional

from nas_attn.models.attention._precise import precise, without_autocast

MAX_PLAIN_POSITIONS = 256
PLAIN_POSITIONS_PER_CHANNEL = 4
SHARED_OUT = 4
GPU_HEAD_WIDTH = 64
WIDTH_STEP = 8

_as_computed: ContextVar[bool] = ContextVar("as_computed", default=False)


def attend(queries: Tensor, keys: Tensor, values: Tensor, heads: int = 1) -> Tensor:
    """For each query the values of all positions, weighted: sum_j softmax_j(q_i . k_j) v_j.

    All forms are exact. The plain form holds all weights of an image, the fused one none, so that its memory grows
    with the positions and not with their square. On a CPU the plain form is faster on small maps of many channels
    only, and is taken up to 256 positions, and up to 4 for each channel of a head; on a GPU it never is. On the
    meta device it stands for all (but see ``as_computed``): its multiplications are those of the equation, without
    the padding that the fused kernels want.

    Args:
        queries: (N, d, Q), one for each of Q positions; not yet scaled where they shall be.
        keys: (N, d, P).
        values: (N, C, P).
        heads: into how many equal parts d and C are cut; each part of the queries meets only its own keys and
            values. A divisor of both.
    Shape: -> (N, C, Q).
    """
    images, _, positions = queries.shape
    q, k, v = (x.reshape(images * heads, -1, x.shape[2]) for x in (queries, keys, values))
    return _attend_as_fits(q, k, v, heads).reshape(images, -1, positions)


def _attend_as_fits(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    device = queries.device.type
    few = heads * queries.shape[2] * keys.shape[2] <= most_plain_positions(values.shape[1]) ** 2
    counted = device == "meta" and not _as_computed.get()
    if counted or (device != "cuda" and few):
        return attend_plainly(queries, keys, values)
    return attend_fused(queries, keys, values, _head_width(queries, values))


@contextmanager
def as_computed() -> Iterator[None]:
    """A context in which the meta device takes the form that a CPU would: for who asks what a step holds."""
    before = _as_computed.set(True)
    try:
        yield
    finally:
        _as_computed.reset(before)


def most_plain_positions(channels: int) -> int:
    """Up to so many positions a CPU takes the plain form; ``channels`` are those of a head's values."""
    return min(MAX_PLAIN_POSITIONS, PLAIN_POSITIONS_PER_CHANNEL * channels)


def attend_plainly(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The equation as it stands, with logits and softmax in fp32 or better: unscaled products overflow fp16.

    Shape: (N, d, Q), (N, d, P), (N, C, P) -> (N, C, Q).
    """
    with without_autocast(queries.device.type):
        weights = torch.bmm(precise(queries).transpose(1, 2), precise(keys)).softmax(-1)
        return torch.bmm(values, weights.to(values.dtype).transpose(1, 2))


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, width: int) -> Tensor:
    """The same without the Q x P weights, by PyTorch's fused kernels.

    These want queries, keys and values of one width and contiguous rows, and otherwise fall back silently to a
    form that holds all weights. So the values are cut into heads of ``width`` channels, each of which meets
    the same queries and keys; what is narrower is padded with zeros, which change no product.

    Args:
        queries: (N, d, Q).
        keys: (N, d, P).
        values: (N, C, P).
        width: channels of a head, at least d; a multiple of 8, as half precision kernels want it (and never 1:
            a last dimension of 1 counts as contiguous whatever its stride, but not to the kernels).
    Shape: -> (N, C, Q).
    """
    channels = values.shape[1]
    heads = -(-channels // width)
    answers = _scaled_dot_products(
        _rows(queries, 1, width).expand(-1, heads, -1, -1).contiguous(),
        _rows(keys, 1, width).expand(-1, heads, -1, -1).contiguous(),
        _rows(values, heads, width),
    )
    return answers.transpose(2, 3).flatten(1, 2)[:, :channels]


def _scaled_dot_products(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    if queries.device.type == "meta":  # where PyTorch itself would take the form that holds all weights
        answers: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries, keys, values, scale=1.0
        )[0]
        return answers
    return functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)


def _head_width(queries: Tensor, values: Tensor) -> int:
    hidden, channels = queries.shape[1], values.shape[1]
    if queries.device.type == "cuda":
        width = max(hidden, min(channels, GPU_HEAD_WIDTH))
    else:
        # One wide head finds the weights only once. The CPU's backward pass shares out images and heads among its
        # threads, so that few images are given more heads.
        parts = max(1, SHARED_OUT // values.shape[0]) if torch.is_grad_enabled() else 1
        width = max(hidden, -(-channels // parts))
    return -(-width // WIDTH_STEP) * WIDTH_STEP


def _rows(x: Tensor, heads: int, width: int) -> Tensor:
    """(N, C, P) -> (N, heads, P, width), contiguous, with zeros where C is too small."""
    images, channels, positions = x.shape
    padded = functional.pad(x, (0, 0, 0, heads * width - channels))
    return padded.view(images, heads, width, positions).transpose(2, 3).contiguous()
