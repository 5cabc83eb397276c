"""Attention from every position to every other, computed in the form that fits the size and the device."""

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
    """Weighted sum of the values of all positions, for each query: sum_j softmax_j(q_i . k_j) v_j.

    All forms are exact. The plain form stores all weights of an image. The fused form stores none, so its memory
    grows with the number of positions, not with its square.

    A GPU always takes the fused form. A CPU takes the plain form only where it is faster, on small maps with many
    channels: up to 256 positions, and up to 4 positions for each channel of a head. The meta device takes the
    plain form (but see ``as_computed``), so its multiplications are those of the equation, without the padding of
    the fused kernels.

    Args:
        queries: (N, d, Q), one for each of Q positions. They are not scaled here.
        keys: (N, d, P).
        values: (N, C, P).
        heads: number of equal parts into which d and C are split; a divisor of both. Each part of the queries
            meets only its own keys and values.
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
    """Context in which the meta device takes the form that a CPU would take, to measure the memory of a step."""
    before = _as_computed.set(True)
    try:
        yield
    finally:
        _as_computed.reset(before)


def most_plain_positions(channels: int) -> int:
    """Largest number of positions for a CPU's plain form; ``channels`` are those of a head's values."""
    return min(MAX_PLAIN_POSITIONS, PLAIN_POSITIONS_PER_CHANNEL * channels)


def attend_plainly(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The equation as written, with logits and softmax in fp32 or better: unscaled products overflow fp16.

    Shape: (N, d, Q), (N, d, P), (N, C, P) -> (N, C, Q).
    """
    with without_autocast(queries.device.type):
        weights = torch.bmm(precise(queries).transpose(1, 2), precise(keys)).softmax(-1)
        return torch.bmm(values, weights.to(values.dtype).transpose(1, 2))


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, width: int) -> Tensor:
    """The same result from PyTorch's fused kernels, which do not store the Q x P weights.

    The kernels need queries, keys and values of equal width with contiguous rows. Otherwise they silently fall
    back to a form that stores all weights. So the values are split into heads of ``width`` channels, and each head
    meets the same queries and keys. Narrower tensors are padded with zeros, which change no product.

    Args:
        queries: (N, d, Q).
        keys: (N, d, P).
        values: (N, C, P).
        width: channels of a head, at least d. It is a multiple of 8, as half-precision kernels need, and so never
            1: PyTorch calls a last dimension of 1 contiguous whatever its stride, but the kernels do not.
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
    if queries.device.type == "meta":  # here PyTorch itself would take the form that stores all weights
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
        # One wide head computes the weights only once. But the CPU's backward pass distributes images and heads
        # over its threads, so a small batch gets more heads.
        parts = max(1, SHARED_OUT // values.shape[0]) if torch.is_grad_enabled() else 1
        width = max(hidden, -(-channels // parts))
    return -(-width // WIDTH_STEP) * WIDTH_STEP


def _rows(x: Tensor, heads: int, width: int) -> Tensor:
    """(N, C, P) -> (N, heads, P, width), contiguous, with zeros where C is too small."""
    images, channels, positions = x.shape
    padded = functional.pad(x, (0, 0, 0, heads * width - channels))
    return padded.view(images, heads, width, positions).transpose(2, 3).contiguous()
