"""Feeds mutated files to the readers of spaces, architectures, study files and data, for as long as one likes.

  python tests/fuzz/readers.py --seconds 30
  python tests/fuzz/readers.py space --seconds 120

Every input has to be read, or refused by a NasAttnError whose lines can be printed, within seconds; the data
reader has to report it. The first input that is not is written to ``crash-TARGET``. ``by_coverage.py`` looks
further.
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from nas_attn.architecture.read import parse_architecture
from nas_attn.data.folder import check_folder
from nas_attn.errors import NasAttnError
from nas_attn.models.catalogue import catalogue
from nas_attn.space import read_space
from nas_attn.study.setup.study_file import read_study_file

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 10.0

ARCHITECTURE = """\
format: 1
network: {family: unet, depth: 2, base_channels: 4, norm: batch, upsampling: bilinear}
placement: {encoder.0: se, encoder.1: {kind: none}, bottleneck: cbam, skip.0: gate, skip.1: none, decoder.0: none,
  decoder.1: {kind: se, reduction: 8}}
classes: [background, object]
input: {channels: 3, mean: [1.0, 2.0, 3.0], std: [1, 1, 1], image_size: 32}
"""
DECLARATION = """\
name: nuclei
classes: [background, nucleus]
ignore_index: 255
in_channels: 3
mask_values: {0: background, 128: nucleus}
splits: {train: ['a*', b1], val: [b2], test: [b3]}
"""


def read_space_file(content: bytes, folder: Path) -> None:
    """A space file."""
    path = folder / "space.yaml"
    path.write_bytes(content)
    read_space(path, catalogue())


def read_architecture_file(content: bytes, folder: Path) -> None:
    """An architecture file, as text; the bytes are decoded as the reader's file would be."""
    parse_architecture(content.decode("utf-8", errors="replace"), "best.yaml", catalogue())


def read_study(content: bytes, folder: Path) -> None:
    """A study file."""
    path = folder / "study.yaml"
    path.write_bytes(content)
    read_study_file(path)


def read_declaration(content: bytes, folder: Path) -> None:
    """``dataset.yaml`` beside sound images."""
    data = _sound_folder(folder)
    (data / "dataset.yaml").write_bytes(content)
    _check(data)


def read_image(content: bytes, folder: Path) -> None:
    """An image among sound ones; its first byte decides under which name."""
    data = _sound_folder(folder)
    (data / "dataset.yaml").unlink(missing_ok=True)
    ending = (".png", ".tif", ".bmp", ".jpg")[content[0] % 4] if content else ".png"
    path = data / "images" / "train" / f"z{ending}"
    path.write_bytes(content[1:])
    try:
        _check(data)
    finally:
        path.unlink()


def _check(data: Path) -> None:
    report = check_folder(data)
    assert all(line.isprintable() for line in (*report.problems, *report.notes)), report.problems


def _sound_folder(folder: Path) -> Path:
    data = folder / "data"
    if not data.is_dir():
        for split in ("train", "val", "test"):
            for part, shape in (("images", (6, 8, 3)), ("masks", (6, 8))):
                (data / part / split).mkdir(parents=True)
                values = np.random.default_rng(len(split)).integers(0, 2, shape).astype(np.uint8)
                Image.fromarray(values).save(data / part / split / "a.png")
    mask = data / "masks" / "train" / "z.png"
    if not mask.is_file():
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(mask)
    return data


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "space": read_space_file,
    "architecture": read_architecture_file,
    "study": read_study,
    "declaration": read_declaration,
    "image": read_image,
}


def seeds(target: str) -> list[bytes]:
    """Good input to begin with."""
    if target == "space":
        return [path.read_bytes() for path in sorted((ROOT / "search_spaces").glob("*.yaml"))]
    if target == "study":
        return [path.read_bytes() for path in sorted((ROOT / "studies").glob("*.yaml"))]
    if target == "image":
        return [*_images()]
    return [(ARCHITECTURE if target == "architecture" else DECLARATION).encode()]


def try_one(target: str, content: bytes, folder: Path) -> None:
    """Feed one input.

    Raises:
        Exception: whatever a reader must not raise.
    """
    refused = None
    with _interrupted_after(MOST_SECONDS):
        try:
            TARGETS[target](content, folder)
        except NasAttnError as error:
            refused = error
    assert refused is None or (refused.problems and all(map(str.isprintable, refused.problems))), refused


class NoAnswer(BaseException):
    """No reader may catch it."""


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Ends with NoAnswer what would go on for ever."""

    def ring(number: int, frame: object) -> None:
        raise NoAnswer(f"no answer in {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutated(content: bytes, random_: random.Random) -> bytes:
    """The input with a few bytes changed, moved, doubled or left out."""
    marks = [
        b"&a ",
        b"*a",
        b"!!python/object:os.system ",
        b"[" * 40,
        b"{",
        b"\x00",
        b"\xff",
        b"1e999",
        b": ",
        b"\n- ",
    ]
    changed = bytearray(content)
    for _ in range(random_.randint(1, 6)):
        start = random_.randint(0, len(changed))
        end = min(len(changed), start + random_.randint(0, 12))
        middle = random_.choice(
            [random_.randbytes(random_.randint(0, 4)), random_.choice(marks), bytes(changed[start:end]) * 3, b""]
        )
        changed[start:end] = middle
    return bytes(changed)


def fuzz(target: str, seconds: float) -> int:
    """Mutate at random; how many inputs were tried."""
    random_, end, tried = random.Random(0), time.monotonic() + seconds, 0
    good = seeds(target)
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            content = mutated(random_.choice(good), random_)
            try:
                try_one(target, content, Path(folder))
            except BaseException:
                Path(f"crash-{target}").write_bytes(content)
                raise
            tried += 1
    return tried


def main() -> None:
    """Fuzz one target, or all in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each target")
    arguments = parser.parse_args()
    for target in [arguments.target] if arguments.target else TARGETS:
        print(f"{target}: {fuzz(target, arguments.seconds):,} inputs read or refused", flush=True)


def _images() -> Iterator[bytes]:
    """An image of each format in several forms, after a byte that decides about its name."""
    colours = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    deep = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 999
    pictures = [Image.fromarray(colours), Image.fromarray(deep), Image.fromarray(colours).convert("P")]
    for index, ending in enumerate(("PNG", "TIFF", "BMP", "JPEG")):
        for picture in pictures if ending in ("PNG", "TIFF") else pictures[:1]:
            file = io.BytesIO()
            picture.save(file, ending)
            yield bytes([index]) + file.getvalue()
    for values, options in _TIFFS:
        file = io.BytesIO()
        tifffile.imwrite(file, np.resize(colours, values), **options)
        yield b"\x01" + file.getvalue()


_TIFFS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((3, 6, 8), {"photometric": "minisblack"}),
    ((32, 32, 3), {"tile": (16, 16), "photometric": "rgb"}),
    ((6, 8, 5), {"compression": "zlib", "predictor": True, "photometric": "minisblack", "planarconfig": "contig"}),
    ((6, 8, 3), {"bigtiff": True, "byteorder": ">", "photometric": "rgb"}),
]
"""Several pages, tiles, compressed, with 64-bit offsets."""


if __name__ == "__main__":
    main()
