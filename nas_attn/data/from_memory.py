"""Write images and masks from memory to a folder that a study can find again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nas_attn.errors import DataError
from nas_attn.whole_file import whole_file

FOLDER = Path("nas-attn-data")
"""In the current folder, so that the same call finds the same data."""
_MOST_CLASS, _PAIR = 255, 2
_LEAST_DIGITS = 5

Array = NDArray[Any]


@runtime_checkable
class _Indexed(Protocol):
    """A list of pairs, or a PyTorch ``Dataset``."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> object: ...


def folder_of_data(data: object) -> Path:
    """Write images and masks to a folder, once for the same content.

    Args:
        data: a tuple of images and masks, or a sequence of (image, mask) pairs such as a PyTorch ``Dataset``.
            Tensors are (C, H, W), arrays (H, W) or (H, W, C), of uint8, uint16, or floating numbers from 0 to 1;
            masks are (H, W), whole numbers, 255 for ignored pixels. Sizes may differ.
    Returns:
        a folder with images/ and masks/.
    Raises:
        DataError: the data have another type or shape.
    """
    pairs = [(_image(image, number), _mask(mask, number)) for number, (image, mask) in enumerate(_pairs(data))]
    if not pairs:
        raise DataError("data: holds no image")
    folder = FOLDER / _digest(pairs)
    for name in ("images", "masks"):
        _make(folder / name)
    for number, (image, mask) in enumerate(pairs):
        name = f"{number:0{_LEAST_DIGITS}}"
        _write_array(folder / "images" / f"{name}.npy", image)
        _write_mask(folder / "masks" / f"{name}.png", mask)
    return folder


def _pairs(data: object) -> Iterator[tuple[object, object]]:
    if isinstance(data, tuple) and len(data) == _PAIR:
        images, masks = data
        if not (isinstance(images, Sized) and isinstance(masks, Sized) and len(images) == len(masks)):
            raise DataError("data: a pair needs as many masks as images, in the same order")
        yield from zip(images, masks, strict=True)  # type: ignore[call-overload]  # both were found to be Sized
        return
    if not isinstance(data, _Indexed):
        raise DataError(
            f"data: a {type(data).__name__} is not data; give a folder, a pair (images, masks), or a Dataset of "
            "(image, mask)"
        )
    for number in range(len(data)):
        pair = data[number]
        if not _is_pair(pair):
            raise DataError(f"data: item {number} is no (image, mask)")
        yield pair[0], pair[1]


def _is_pair(item: object) -> TypeGuard[Sequence[object]]:
    return isinstance(item, (tuple, list)) and len(item) == _PAIR


def _image(image: object, number: int) -> Array:
    """(H, W, C) of uint8, uint16 or float32."""
    values = _channels_last(image)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3:
        raise DataError(
            f"data: image {number} has the shape {values.shape}; give (C, H, W) tensors or (H, W, C) arrays"
        )
    if values.dtype in (np.uint8, np.uint16):
        return values
    if np.issubdtype(values.dtype, np.floating) and values.min() >= 0 and values.max() <= 1:
        return values.astype(np.float32, copy=False)
    raise DataError(
        f"data: image {number} holds {values.dtype} from {values.min():.4g} to {values.max():.4g}; give uint8, "
        "uint16, or floating numbers from 0 to 1, not normalised: a search does that itself"
    )


def _channels_last(image: object) -> Array:
    if isinstance(image, Tensor):
        values = image.detach().cpu().numpy()
        return values.transpose(1, 2, 0) if values.ndim == 3 else values
    return np.asarray(image)


def _mask(mask: object, number: int) -> Array:
    values = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[-1]):
        values = values.reshape([side for side in values.shape if side != 1] or [1])
    if values.ndim != 2:
        raise DataError(
            f"data: mask {number} has the shape {values.shape}; give (H, W) with the class of each pixel"
        )
    if values.dtype == np.uint8:
        return values
    whole = values.astype(np.int64)
    if (whole != values).any() or whole.min() < 0 or whole.max() > _MOST_CLASS:
        raise DataError(f"data: mask {number} must hold whole numbers from 0 to {_MOST_CLASS}")
    return whole.astype(np.uint8)


def _digest(pairs: Iterable[tuple[Array, Array]]) -> str:
    """Twelve hexadecimal digits of the content."""
    digest = hashlib.sha256()
    for pair in pairs:
        for values in pair:
            digest.update(f"{values.shape} {values.dtype}".encode())
            digest.update(np.ascontiguousarray(values).reshape(-1).data)
    return digest.hexdigest()[:12]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: the data cannot be written there: {error.strerror}") from None


def _write_array(path: Path, values: Array) -> None:
    if not path.exists():
        with whole_file(path) as part, part.open("wb") as file:
            np.save(file, np.ascontiguousarray(values))


def _write_mask(path: Path, values: Array) -> None:
    if not path.exists():
        with whole_file(path) as part:
            Image.fromarray(values).save(part, format="PNG")
