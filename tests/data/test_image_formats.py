from __future__ import annotations

import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps

from nas_attn.data import check_folder, read_folder, read_image
from nas_attn.data.raster import read_raster
from nas_attn.errors import DataError

RANDOM = np.random.default_rng(0)
GREY8 = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
GREY16 = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
RGB8 = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGB16 = RANDOM.integers(0, 65536, (5, 7, 3), dtype=np.uint16)


def planes(values: np.ndarray) -> torch.Tensor:
    first = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return torch.from_numpy(first.astype(np.uint8 if values.dtype == np.uint8 else np.int32))


def png_by_hand(values: np.ndarray, colour: int) -> bytes:
    """A 16-bit PNG written from the specification, so that no decoder tests itself."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
@pytest.mark.parametrize("values", [GREY8, RGB8], ids=["grey", "rgb"])
def test_eight_bit_files_give_back_what_was_saved(tmp_path, ending, values):
    path = tmp_path / f"x.{ending}"
    Image.fromarray(values).save(path)
    assert torch.equal(read_image(path), planes(values))
    assert read_image(path).dtype == torch.uint8


@pytest.mark.parametrize(("values", "colour"), [(GREY16, 0), (RGB16, 2)], ids=["grey", "rgb"])
def test_sixteen_bit_png_keeps_all_its_bits(tmp_path, values, colour):
    (tmp_path / "x.png").write_bytes(png_by_hand(values, colour))
    assert torch.equal(read_image(tmp_path / "x.png"), planes(values))
    assert read_image(tmp_path / "x.png").dtype == torch.int32


@pytest.mark.parametrize("values", [GREY16, RGB16], ids=["grey", "rgb"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_sixteen_bit_tiff_keeps_all_its_bits(tmp_path, values, compression):
    tifffile.imwrite(tmp_path / "x.tif", values, compression=compression)
    assert torch.equal(read_image(tmp_path / "x.tif"), planes(values))


@pytest.mark.parametrize("order", ["channels first", "channels last", "pages"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_of_five_channels_is_read_however_they_lie(tmp_path, order, dtype):
    values = RANDOM.integers(0, 250, (5, 16, 20)).astype(dtype)
    if order == "pages":
        with tifffile.TiffWriter(tmp_path / "x.tif") as file:
            for page in values:
                file.write(page, contiguous=True)
    elif order == "channels first":
        tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", planarconfig="separate")
    else:
        last = values.transpose(1, 2, 0)
        tifffile.imwrite(tmp_path / "x.tif", last, photometric="minisblack", planarconfig="contig")
    assert np.array_equal(read_image(tmp_path / "x.tif").numpy(), values)


def test_a_tiff_in_which_white_is_zero_is_turned_round(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GREY8, photometric="miniswhite")
    assert torch.equal(read_image(tmp_path / "x.tif"), 255 - planes(GREY8))
    Image.fromarray(GREY8 > 99).save(tmp_path / "bits.tif", compression="group4")
    expected = torch.from_numpy((GREY8 > 99).astype(np.uint8) * 255)[None]
    assert torch.equal(read_image(tmp_path / "bits.tif"), expected)


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "x.jpg")
    assert np.array_equal(
        read_image(tmp_path / "x.jpg").numpy().transpose(1, 2, 0), Image.open(tmp_path / "x.jpg")
    )


def test_a_jpeg_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is at the right of the stored image
    Image.fromarray(GREY8).save(tmp_path / "x.jpg", exif=exif, quality=100)
    stored = np.asarray(Image.open(tmp_path / "x.jpg"))
    assert np.array_equal(read_image(tmp_path / "x.jpg")[0].numpy(), np.rot90(stored, -1))


def with_exif(png: bytes, orientation: int) -> bytes:
    """A PNG with an eXIf chunk behind its header, as cameras and phones write it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:33] + chunk + png[33:]


def turned_by_pillow(values: np.ndarray, orientation: int) -> np.ndarray:
    """Channel by channel, so that Pillow can hold 16 bits."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = []
    for channel in np.moveaxis(values, -1, 0):
        image = Image.fromarray(np.ascontiguousarray(channel))
        image.getexif().update(exif)
        turned.append(np.asarray(ImageOps.exif_transpose(image)))
    return np.stack(turned, -1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "png of 16 bits", "tif", "tif of 16 bits"])
def test_a_png_and_a_tiff_are_turned_as_pillow_turns_them(tmp_path, kind, orientation):
    values = RGB8 if "16" not in kind else RGB8.astype(np.uint16) * 257
    path = tmp_path / f"x.{kind[:3]}"
    if kind.startswith("tif"):
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, values, photometric="rgb", metadata=None, extratags=[tag])
    else:
        path.write_bytes(with_exif(imagecodecs.png_encode(values), orientation))
    found = read_image(path).numpy().transpose(1, 2, 0)
    assert np.array_equal(found, turned_by_pillow(values, orientation))


def test_image_and_mask_with_a_tag_are_both_turned_and_it_is_noted(make_folder):
    folder = make_folder()
    for part in ("images", "masks"):
        path = folder / part / "train" / "a.png"
        path.write_bytes(with_exif(path.read_bytes(), 6))
    stored = np.asarray(Image.open(folder / "masks/train/a.png"))
    dataset = read_folder(folder)
    assert np.array_equal(dataset.train.mask(0).numpy(), np.rot90(stored, -1))
    assert dataset.train.image(0).shape == (3, 8, 6)
    assert "1 images are read turned as their orientation tags say" in check_folder(folder).notes


def test_the_content_counts_not_the_ending(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "x.bmp")
    (tmp_path / "x.bmp").rename(tmp_path / "x.png")
    assert torch.equal(read_image(tmp_path / "x.png"), planes(GREY8))


def test_a_palette_image_is_read_in_its_colours(tmp_path):
    image = Image.fromarray(RGB8).quantize(4)
    image.save(tmp_path / "x.png")
    assert np.array_equal(
        read_image(tmp_path / "x.png").numpy().transpose(1, 2, 0), np.asarray(image.convert("RGB"))
    )


class TestAlpha:
    def rgba(self, alpha: np.ndarray | int) -> np.ndarray:
        return np.dstack([RGB8, np.broadcast_to(np.uint8(alpha), RGB8.shape[:2])])

    @pytest.mark.parametrize("ending", ["png", "tif"])
    def test_is_dropped_where_it_is_constant(self, tmp_path, ending):
        Image.fromarray(self.rgba(255)).save(tmp_path / f"x.{ending}")
        assert torch.equal(read_image(tmp_path / f"x.{ending}"), planes(RGB8))

    @pytest.mark.parametrize("ending", ["png", "tif"])
    def test_is_refused_where_it_varies(self, tmp_path, ending):
        Image.fromarray(self.rgba(np.arange(35).reshape(5, 7))).save(tmp_path / f"x.{ending}")
        with pytest.raises(DataError, match=r"alpha channel that varies; 'in_channels: 3' in dataset.yaml drops"):
            read_image(tmp_path / f"x.{ending}")

    def test_of_sixteen_bits_is_dropped_too(self, tmp_path):
        values = np.dstack([RGB16, np.full((5, 7), 65535, np.uint16)])
        (tmp_path / "x.png").write_bytes(png_by_hand(values, colour=6))
        assert torch.equal(read_image(tmp_path / "x.png"), planes(RGB16))

    def test_is_no_alpha_where_a_tiff_has_four_plain_channels(self, tmp_path):
        values = self.rgba(9)
        tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", planarconfig="contig")
        assert torch.equal(read_image(tmp_path / "x.tif"), planes(values))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda p: tifffile.imwrite(p, GREY8.astype(np.float32)),
            "brightness in floating numbers runs from 0 to 1",
        ),
        (lambda p: tifffile.imwrite(p, np.array([[70000, 1]], np.uint32)), "values from 1 to 70000; 0 to 65535"),
        (lambda p: tifffile.imwrite(p, np.array([[-1, 1]], np.int16)), "values from -1 to 1; 0 to 65535"),
        (lambda p: tifffile.imwrite(p, np.zeros((9, 5, 7), np.uint8), metadata={"axes": "ZYX"}), "is a stack"),
        (lambda p: Image.new("CMYK", (4, 4)).save(p), "has the colours CMYK"),
    ],
    ids=["float", "too large", "negative", "stack", "cmyk"],
)
def test_a_tiff_that_cannot_be_used_says_why(tmp_path, write, message):
    write(tmp_path / "x.tif")
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "x.tif")


def test_channels_can_be_asked_for(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "grey.png")
    Image.fromarray(RGB8).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([GREY8] * 3)).save(tmp_path / "same.png")
    assert torch.equal(read_image(tmp_path / "grey.png", channels=3), planes(np.dstack([GREY8] * 3)))
    assert torch.equal(read_image(tmp_path / "same.png", channels=1), planes(GREY8))
    with pytest.raises(DataError, match=r"rgb\.png: has 3 channels; 1 are needed"):
        read_image(tmp_path / "rgb.png", channels=1)


class TestMasks:
    def only_mask(self, folder: Path, name: str = "a.png") -> Path:
        (folder / "masks/train/a.png").unlink()
        return folder / "masks/train" / name

    def test_of_zero_and_255_are_two_classes(self, make_folder):
        mask = (np.arange(48).reshape(6, 8) % 2).astype(np.uint8) * 255
        folder = make_folder(
            masks={f"{split}/{name}": mask for split in ("train", "val", "test") for name in "ab"}
        )
        dataset = read_folder(folder)
        assert dataset.classes == ("background", "foreground")
        assert np.array_equal(dataset.val.mask(0).numpy(), mask // 255)

    def test_of_a_single_bit_are_two_classes(self, make_folder):
        folder = make_folder()
        for path in (folder / "masks").rglob("*.png"):
            Image.fromarray(np.asarray(Image.open(path)) == 1).save(path)
        assert np.array_equal(read_folder(folder).test.mask(0).numpy(), np.arange(48).reshape(6, 8) % 2)

    def test_with_a_palette_hold_its_indices(self, make_folder):
        folder = make_folder(classes=3)
        expected = read_folder(folder).train.mask(0)
        image = Image.fromarray(expected.numpy()).convert("P")
        image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
        image.save(folder / "masks/train/a.png")
        assert torch.equal(read_folder(folder).train.mask(0), expected)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
    def test_may_be_tiff_of_any_whole_numbers(self, make_folder, dtype):
        folder = make_folder()
        expected = read_folder(folder).train.mask(0)
        tifffile.imwrite(self.only_mask(folder, "a.tif"), expected.numpy().astype(dtype))
        assert torch.equal(read_folder(folder).train.mask(0), expected)

    def test_may_be_stored_as_grey_rgb(self, make_folder):
        folder = make_folder()
        expected = read_folder(folder).train.mask(0)
        Image.fromarray(np.dstack([expected.numpy()] * 3)).save(folder / "masks/train/a.png")
        assert torch.equal(read_folder(folder).train.mask(0), expected)

    def test_of_sixteen_bits_translate_by_declared_values(self, make_folder):
        masks = {
            f"{split}/{name}": np.where(np.arange(48).reshape(6, 8) % 3 == 2, 4000, 7).astype(np.uint16)
            for split in ("train", "val", "test")
            for name in "ab"
        }
        folder = make_folder(masks=masks)
        (folder / "dataset.yaml").write_text("mask_values: {7: soil, 4000: plant}")
        dataset = read_folder(folder)
        assert dataset.classes == ("soil", "plant")
        assert np.array_equal(dataset.test.mask(1).numpy(), np.arange(48).reshape(6, 8) % 3 == 2)

    def test_as_jpeg_are_refused(self, make_folder):
        folder = make_folder()
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(self.only_mask(folder, "a.jpg"))
        (problem,) = check_folder(folder).problems
        assert problem.startswith(
            "masks/train/a.jpg: is compressed with loss (JPEG), which changes class indices: "
        )
        assert "write 'threshold: 127'" in problem

    def test_coded_in_colours_are_refused_with_the_colours(self, make_folder):
        colours = np.zeros((6, 8, 3), np.uint8)
        colours[2:, :, 1] = 176
        (problem,) = check_folder(make_folder(masks={"val/a": colours})).problems
        assert problem == (
            "masks/val/a.png: is coded in colours ((0, 0, 0), (0, 176, 0)); name them as mask_colors in "
            "dataset.yaml, or save one channel of class indices"
        )

    def test_with_alpha_count_without_it(self, make_folder):
        folder = make_folder()
        expected = read_folder(folder).train.mask(0)
        Image.fromarray(expected.numpy()).convert("LA").save(folder / "masks/train/a.png")
        assert torch.equal(read_folder(folder).train.mask(0), expected)


class TestMixedImages:
    def test_grey_among_rgb_becomes_rgb_and_is_stated(self, make_folder):
        grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
        folder = make_folder(images={"train/a": grey})
        assert np.array_equal(read_folder(folder).train.image(0).numpy(), np.stack([grey] * 3))
        assert "1 grey images are read as RGB" in check_folder(folder).notes

    def test_rgb_of_equal_channels_becomes_grey_where_declared(self, make_folder):
        grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
        folder = make_folder(channels=1, images={"train/a": np.dstack([grey] * 3)})
        (folder / "dataset.yaml").write_text("in_channels: 1")
        assert np.array_equal(read_folder(folder).train.image(0).numpy(), grey[None])

    def test_coloured_images_are_refused_where_one_channel_is_declared(self, make_folder):
        folder = make_folder(channels=1, images={"train/a": RGB8[:6, :7].repeat(2, 0)[:6].repeat(2, 1)[:, :8]})
        (folder / "dataset.yaml").write_text("in_channels: 1")
        assert check_folder(folder).problems == ("images/train/a.png: 3 channels, not 1",)

    def test_other_mixtures_are_refused(self, make_folder):
        folder = make_folder()
        (folder / "images/val/b.png").unlink()
        five = RANDOM.integers(0, 255, (5, 6, 8)).astype(np.uint8)
        tifffile.imwrite(folder / "images/val/b.tif", five, photometric="minisblack")
        assert check_folder(folder).problems == ("images/val/b.tif: 5 channels, not 3",)

    def test_bit_depths_do_not_mix(self, make_folder):
        folder = make_folder(channels=1, images={"test/a": GREY16.repeat(2, 0)[:6].repeat(2, 1)[:, :8]})
        (problem,) = check_folder(folder).problems
        assert problem == "images/test/a.png: 16 bits a channel, the others have 8; save all alike"

    def test_sixteen_bit_images_of_a_folder_keep_their_values(self, make_folder):
        values = {
            f"{split}/{name}": RANDOM.integers(0, 65536, (6, 8), dtype=np.uint16)
            for split in ("train", "val", "test")
            for name in "ab"
        }
        dataset = read_folder(make_folder(images=values))
        assert dataset.test.pixels.dtype == torch.int32
        assert np.array_equal(dataset.test.image(1)[0].numpy(), values["test/b"])
        stacked = np.stack([values["train/a"], values["train/b"]]).astype(np.float64)
        assert dataset.mean == pytest.approx((stacked.mean(),))
        assert dataset.std == pytest.approx((stacked.std(),))


def test_imagecodecs_is_what_reads_sixteen_bit_colour_here(tmp_path, monkeypatch):
    """Pillow would cut these files to 8 bits; without the detour the values differ."""
    (tmp_path / "x.png").write_bytes(png_by_hand(RGB16, colour=2))
    monkeypatch.setattr(imagecodecs, "png_decode", lambda content: np.zeros((5, 7, 3), np.uint16))
    assert read_image(tmp_path / "x.png").count_nonzero() == 0


def test_signed_numbers_below_0_are_refused_with_what_to_save(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.array([[-5, 100]], dtype=np.int16))

    with pytest.raises(DataError, match=r"from -5 to 100; .*add one number to all images, as 32768"):
        read_image(path)


def test_headers_of_arrays_are_parsed_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 parses in two threads at once what it then calls damaged."""
    paths = [tmp_path / f"{number}.npy" for number in range(8)]
    for path in paths:
        np.save(path, np.zeros((4, 4), np.uint8))
    load, inside, most = np.load, [], []

    def watched(*given: Any, **named: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return load(*given, **named)

    monkeypatch.setattr(np, "load", watched)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_raster, paths))

    assert max(most) == 1
