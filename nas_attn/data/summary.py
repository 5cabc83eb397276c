"""Summarise the pixels of a data set: counts of values, statistics, and a fingerprint."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas_attn.data.on_demand import in_turn
from nas_attn.data.problem import first_few

if TYPE_CHECKING:
    from nas_attn.data.dataset import LabelledImages

_AT_ONCE = 2**20
_SHOWN = 3


def summarise(splits: Mapping[str, LabelledImages], classes: Sequence[str], longest_side: int | None) -> Summary:
    """Summarise all pixels in one pass.

    Args:
        splits: by name, ``train`` among them, in the order in which they enter the fingerprint.
        classes: names in the order of their indices.
        longest_side: to which larger images were shrunk; None if they were left as they are.
    """
    whole = hashlib.sha256(repr((tuple(classes), longest_side)).encode())
    sums = torch.zeros(2, splits["train"].channels, dtype=torch.float64)
    digests: list[tuple[str, str]] = []
    for split, images in splits.items():
        whole.update(repr((str(images.dtype), images.names, images.heights, images.widths)).encode())
        whole.update(repr(images.clips).encode() if images.clips else b"")
        whole.update(b"classes may overlap" if images.multi_label else b"")
        seen = in_turn(partial(_look, images, split == "train"), len(images))
        for name, one in zip(images.names, seen, strict=True):
            whole.update(_bytes(one.image))
            whole.update(_bytes(one.mask))
            digests.append((f"{split}/{name}", one.digest))
            sums += one.sums
    train = splits["train"]
    mean, std = _statistics(sums, sum(h * w for h, w in zip(train.heights, train.widths, strict=True)))
    return Summary(mean, std, whole.hexdigest(), tuple(digests))


@dataclass(frozen=True)
class Summary:
    """Summary of a whole data set.

    Args:
        mean: of each channel over the training pixels, in pixel units.
        std: likewise; 1 if the channel is constant.
        fingerprint: sha256 of everything that could change a result.
        digests: of each image with its mask, by its split and name: ``train/a``.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    digests: tuple[tuple[str, str], ...]


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The images that changed, were added or are gone, in words.

    Args:
        before: digest of each image with its mask, by its split and name: ``train/a``.
        now: likewise.
    """
    found = (
        ("changed", [name for name in now if name in before and now[name] != before[name]]),
        ("added", [name for name in now if name not in before]),
        ("gone", [name for name in before if name not in now]),
    )
    told = [f"{len(names)} {what}: {first_few(names, _SHOWN)}" for what, names in found if names]
    return "; ".join(told) or "no image differs, but the classes, their names or the shrinking do"


def value_counts(values: npt.NDArray[Any]) -> tuple[tuple[int, int], ...]:
    """(value, number of pixels) pairs of whole numbers, by value.

    >>> value_counts(np.array([[3, 0], [3, 3]], dtype=np.uint8))
    ((0, 1), (3, 3))
    """
    if values.dtype == np.uint8:  # without sorting them all
        counts = byte_counts(values)
        return tuple((value, int(counts[value])) for value in counts.nonzero()[0].tolist())
    held, numbers = np.unique(values, return_counts=True)
    return tuple(zip(held.tolist(), numbers.tolist(), strict=True))


def byte_counts(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Number of pixels with each value from 0 to 255, (256,); counted in parts, because NumPy makes a copy that is
    eight times as large."""
    flat, counts = values.reshape(-1), np.zeros(256, dtype=np.int64)
    for start in range(0, len(flat), _AT_ONCE):
        counts += np.bincount(flat[start : start + _AT_ONCE], minlength=256)
    return counts


@dataclass(frozen=True, eq=False)
class _Seen:
    """One image with its mask; ``sums`` of its values and of their squares, (2, C), float64."""

    image: Tensor
    mask: Tensor
    digest: str
    sums: Tensor


def _look(images: LabelledImages, is_summed: bool, number: int) -> _Seen:
    image, mask = images.image(number), images.mask(number)
    digest = hashlib.blake2b(repr((image.dtype, image.shape)).encode(), digest_size=8)
    digest.update(_bytes(image))
    digest.update(_bytes(mask))
    sums = _sums(image) if is_summed else torch.zeros(2, 1, dtype=torch.float64)
    return _Seen(image, mask, digest.hexdigest(), sums)


def _bytes(values: Tensor) -> memoryview:
    """The bytes of a tensor, without a copy if it is contiguous."""
    return values.contiguous().view(-1).numpy().data


def _sums(image: Tensor) -> Tensor:
    """Sums of values and squares; 8-bit values are counted first, which is exact and needs no floating copy of the
    image."""
    if image.dtype != torch.uint8:
        values = image.to(torch.float64)
        return torch.stack([values.sum(dim=(1, 2)), values.square().sum(dim=(1, 2))])
    values = torch.arange(256, dtype=torch.float64)
    counts = torch.stack([torch.from_numpy(byte_counts(channel.numpy())) for channel in image]).double()
    return torch.stack([counts @ values, counts @ values.square()])


def _statistics(sums: Tensor, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, square = sums / count
    variance = (square - mean.square()).clamp_min(0).tolist()
    return tuple(mean.tolist()), tuple(math.sqrt(value) if value > 1e-9 else 1.0 for value in variance)
