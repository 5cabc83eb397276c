"""Read the exact values of an image file; nothing is scaled, flattened or repaired."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

Values = npt.NDArray[Any]
"""An array of uint8 or uint16."""

_PARSING = threading.Lock()
"""NumPy parses an array's header as Python, which two threads of Python 3.11 cannot do at the same time: sometimes
one of them fails with a wrong recursion depth (python/cpython#106905)."""
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"RIFF": "WEBP",
    b"\x93NUMPY": "NPY",
    b"PK\x03\x04": "NPZ",
}
KINDS = "PNG, JPEG, TIFF, BMP, GIF, WebP, .npy or .npz"
_PNG_HEADER = struct.Struct(">8x4x4sIIBB")
_PNG_GREY, _PNG_PALETTE = 0, 3
_CHANNEL_AXES = "SCQI"
_TIFF_WHITE_IS_0, _TIFF_PALETTE, _TIFF_CMYK = 0, 3, 5
_TIFF_ALPHA = (1, 2)
_TIFF_JPEG = (6, 7, 33007, 34892)

_ORIENTATION = 274
_TURNS: Mapping[object, tuple[bool, int, int]] = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}
"""Orientation to: whether rows become columns, and then the order of rows and of columns."""
_MOST_PAGES = 4096

# tifffile tells of damage through logging, which would reach the terminal beside our own line on it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Unreadable(Exception):
    """A file cannot be used; the text says why, and what would be right."""


@dataclass(frozen=True, eq=False)
class Raster:
    """The content of an image file.

    Args:
        values: (H, W, C), uint8, uint16 or float32.
        palette: about (256, 3), uint8, if the values are indices into it.
        has_alpha: whether the last channel is opacity.
        is_lossy: whether the values are only near the saved ones.
        is_turned: whether it was turned according to its orientation tag.
        has_pages: whether its channels are the pages of a file.
    """

    values: Values
    palette: npt.NDArray[np.uint8] | None = None
    has_alpha: bool = False
    is_lossy: bool = False
    is_turned: bool = False
    has_pages: bool = False


def read_raster(path: Path, key: str = "") -> Raster:
    """Read an image file or array. Its content matters, not its suffix.

    Args:
        path: of the file.
        key: of the array in a .npz file; empty if it has a single array.
    Raises:
        Unreadable: it is not an image or array, is damaged, is too large, or contains something unsupported.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise Unreadable("is empty (0 bytes)")
    kind = next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)
    if kind is None:
        pointer = head.startswith(b"version https://git-lfs")
        raise Unreadable("is a Git LFS pointer; run 'git lfs pull'" if pointer else f"is not a {KINDS}")
    try:
        if kind == "TIFF":
            return _read_tiff(path)
        if kind in ("NPY", "NPZ"):
            return _read_array(path, key)
        if kind == "PNG" and _is_deep_colour(head):
            return _read_deep_png(path, has_alpha=head[25] & 4 != 0)
        return _read_with_pillow(path, kind)
    except Unreadable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(_too_large()) from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"begins like a {kind} but is damaged") from error
    except Exception as error:  # decoders raise anything at all on hostile content
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"is damaged: {reason[:150]}") from error


def _is_deep_colour(head: bytes) -> bool:
    """Whether a PNG has 16 bits and several channels, which Pillow would silently reduce to 8 bits."""
    if len(head) < _PNG_HEADER.size:
        raise Unreadable("is damaged: it ends within its header")
    chunk, width, height, bits, colour = _PNG_HEADER.unpack_from(head)
    if chunk != b"IHDR":
        raise Unreadable("is damaged: its header is missing")
    _check_size(height, width)
    return bool(bits == 16 and colour not in (_PNG_GREY, _PNG_PALETTE))


def _read_deep_png(path: Path, has_alpha: bool) -> Raster:
    with Image.open(path, formats=["PNG"]) as opened:
        orientation = opened.getexif().get(_ORIENTATION, 1)
    return _turned(Raster(imagecodecs.png_decode(path.read_bytes()), has_alpha=has_alpha), orientation)


def _turned(raster: Raster, orientation: object) -> Raster:
    """Turn an image as its orientation tag says (TIFF 6.0, tag 274)."""
    if orientation not in _TURNS:
        return raster
    transposed, rows, columns = _TURNS[orientation]
    values = raster.values.swapaxes(0, 1) if transposed else raster.values
    return replace(raster, values=np.ascontiguousarray(values[::rows, ::columns]), is_turned=True)


def _read_with_pillow(path: Path, kind: str) -> Raster:
    with Image.open(path, formats=[kind]) as opened:
        _check_size(opened.height, opened.width)
        if getattr(opened, "n_frames", 1) > 1 and kind != "PNG":
            raise Unreadable(f"holds {opened.n_frames} pictures; save one in a file")  # type: ignore[attr-defined]
        if opened.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I"):
            raise Unreadable(f"has the colours {opened.mode}; save it as grey or RGB")
        palette = None
        if opened.mode == "P":
            palette = np.array(opened.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        image = ImageOps.exif_transpose(opened)
        values = np.array(image)
        return Raster(
            values=_as_stored(values[..., None] if values.ndim == 2 else values),
            palette=palette,
            has_alpha=image.mode in ("LA", "RGBA"),
            is_lossy=kind == "JPEG" or (kind == "WEBP" and _is_lossy_webp(path)),
            is_turned=opened.getexif().get(_ORIENTATION, 1) in _TURNS,
        )


def _is_lossy_webp(path: Path) -> bool:
    """Whether it contains a VP8 picture instead of a lossless VP8L."""
    return b"VP8L" not in path.read_bytes()[:4096]


def _read_array(path: Path, key: str) -> Raster:
    """A NumPy array of (H, W), (H, W, C) or (C, H, W); the shortest axis is taken as the channels."""
    with _PARSING:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            values = loaded
        else:
            with loaded:
                values = _member(loaded, key)
    if values.ndim not in (2, 3):
        raise Unreadable(f"holds an array of {values.ndim} axes; save (H, W), (H, W, C) or (C, H, W)")
    if values.ndim == 3 and values.shape[0] < values.shape[2]:
        values = np.moveaxis(values, 0, -1)
    _check_size(values.shape[0], values.shape[1], values.size)
    return Raster(_as_stored(np.array(values if values.ndim == 3 else values[..., None])))


def _member(loaded: Any, key: str) -> npt.NDArray[Any]:
    """An array of a .npz file, which may be highly compressed."""
    names = sorted(loaded)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and any(info.file_size > 32 * limit for info in loaded.zip.infolist()):
        raise Unreadable(_too_large())
    if key and key not in names:
        raise Unreadable(f"has no array '{key}'; it holds {', '.join(names[:8])}")
    if not key and len(names) != 1:
        raise Unreadable(f"holds the arrays {', '.join(names[:8])}; name them as image_key and mask_key")
    member: npt.NDArray[Any] = loaded[key or names[0]]
    return member


def _read_tiff(path: Path) -> Raster:
    with tifffile.TiffFile(path) as file:
        _check_pages(file)
        pictures = [series for series in file.series if not _is_secondary(series)]
        if len(pictures) != 1:
            raise Unreadable(f"holds {len(file.series)} images; save one in a file")
        series = pictures[0]
        page = series.keyframe
        sizes = dict(zip(series.axes, series.shape, strict=True))
        if any(size > 1 and axis not in "YX" + _CHANNEL_AXES for axis, size in sizes.items()):
            raise Unreadable(f"is a stack ({series.axes} {series.shape}); save one image in a file")
        _check_size(sizes.get("Y", 1), sizes.get("X", 1), series.size)
        raster = Raster(
            values=_as_stored(_channels_last(series.asarray(), series.axes)),
            has_alpha=bool(page.extrasamples) and page.extrasamples[-1] in _TIFF_ALPHA,
            is_lossy=int(page.compression) in _TIFF_JPEG,
            has_pages=any(sizes.get(axis, 1) > 1 for axis in "QI"),
        )
        orientation = page.tags.get(_ORIENTATION)
        return _turned(_interpreted(raster, page), orientation and orientation.value)


def _check_pages(file: tifffile.TiffFile) -> None:
    """Count the pages. Without this index, tifffile follows the pages of some damaged files in an endless
    circle."""
    number = len(file.pages)
    if number > _MOST_PAGES:
        raise Unreadable(f"holds {number} pages; save one image in a file")


def _is_secondary(series: Any) -> bool:
    """Whether its tag says that it is a smaller copy, a transparency mask or a thumbnail of another picture."""
    page = series.keyframe
    return bool(page.is_reduced or page.is_mask)


def _interpreted(raster: Raster, page: Any) -> Raster:
    """Interpret a TIFF by its photometric tag, which tifffile leaves to its caller."""
    photometric = int(page.photometric)
    if photometric == _TIFF_CMYK:
        raise Unreadable("has the colours CMYK; save it as grey or RGB")
    if photometric == _TIFF_PALETTE:
        return replace(raster, palette=(page.colormap.T >> 8).astype(np.uint8))
    if photometric == _TIFF_WHITE_IS_0:
        most = raster.values.dtype.type(255 if page.bitspersample == 1 else 2**page.bitspersample - 1)
        return replace(raster, values=most - raster.values)
    return raster


def _channels_last(values: npt.NDArray[Any], axes: str) -> npt.NDArray[Any]:
    kept = [axis for axis, size in zip(axes, values.shape, strict=True) if size > 1 or axis in "YX"]
    values = values.reshape([size for axis, size in zip(axes, values.shape, strict=True) if axis in kept])
    extra = [axis for axis in kept if axis not in "YX"]
    if len(extra) > 1 or "Y" not in kept or "X" not in kept:
        raise Unreadable(f"is a stack ({axes}); save one image in a file")
    return np.moveaxis(values, kept.index(extra[0]), -1) if extra else values[..., None]


def _as_stored(values: npt.NDArray[Any]) -> Values:
    """Whole numbers of 8 or 16 bits; a single bit becomes 0 or 255.

    Floating numbers stay as they are, in 32 bits, because only the caller knows whether they are brightness or
    classes.
    """
    if values.size == 0:
        raise Unreadable("is damaged: it holds no pixels")
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype in (np.uint8, np.uint16):
        return values
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise Unreadable("holds values that are not finite numbers; replace them")
        return values.astype(np.float32)
    if values.dtype.kind not in "iu":
        raise Unreadable(f"holds values of type {values.dtype}; save whole numbers of 8 or 16 bits")
    if values.min() < 0 or values.max() > 65535:
        raise Unreadable(
            f"holds values from {values.min()} to {values.max()}; 0 to 65535 are possible: add one number to all "
            "images, as 32768 to signed ones of 16 bits, and save them unsigned"
        )
    return values.astype(np.uint16)


def _check_size(height: int, width: int, values: int = 0) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and (height * width > limit or values > 4 * limit):
        raise Unreadable(f"{_too_large()}; it claims to be {width}x{height}")


def _too_large() -> str:
    return f"is larger than the limit of {Image.MAX_IMAGE_PIXELS} pixels that guards against decompression bombs"
