"""How much memory a search, and then ``predict --tile``, take on a set that does not fit into it.

A set of so many gigabytes of decoded uint8 is made: images of 4,000 px, a few small ones, masks of two classes. A
short search trains on crops of 64 px and validates whole images; its best network is trained for an epoch on the
small images alone and predicts large ones in tiles. Meanwhile the memory of all processes is read from the kernel
four times a second: PSS, by which what several processes share is counted once. What nobody can give back without
losing it (anonymous and shared memory) is told apart from pages of mapped files, which are a copy of what lies on
the disk. Linux only.

    python benchmarks/large_set.py --gigabytes 2 --out large_set.json
    python benchmarks/large_set.py --gigabytes 20 --folder /scratch --out large_set.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

_LARGE, _SMALL, _CELL = 4000, 256, 250
_JUDGED, _TESTED = 1, 1
_N_SMALL = {"train": 12, "val": 4, "test": 4}
_SECONDS = 0.25
_MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """The memory of a command and of all processes that it started, at its peak; in MiB.

    Args:
        command: without what is special to this run.
        seconds: that it took.
        memory: anonymous and shared memory.
        with_files: the same with the pages of mapped files that were held at that moment.
        largest_process: memory of the largest of them.
    """

    command: str
    seconds: float
    memory: float
    with_files: float
    largest_process: float


def make_set(folder: Path, gigabytes: float) -> float:
    """Write the images and masks as compressed TIFF, and say how many gigabytes they are when decoded."""
    number = max(_JUDGED + _TESTED + 1, round(gigabytes * 1e9 / (3 * _LARGE**2)))
    splits = ["val"] * _JUDGED + ["test"] * _TESTED + ["train"] * (number - _JUDGED - _TESTED)
    jobs = [(folder, split, f"large{index:04d}", _LARGE, index) for index, split in enumerate(splits)]
    small = [split for split, many in _N_SMALL.items() for _ in range(many)]
    for place in (folder, folder.with_name("small")):
        jobs += [(place, split, f"small{index:02d}", _SMALL, number + index) for index, split in enumerate(small)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: _write_pair(*job), jobs))
    return sum(3 * side**2 for place, _, _, side, _ in jobs if place == folder) / 1e9


def _write_pair(folder: Path, split: str, name: str, side: int, seed: int) -> None:
    """Bright fields on a slope, under a grain that repeats, so that files are small and quickly made."""
    random = np.random.default_rng(seed)
    cell = _CELL if side == _LARGE else 32
    fields = random.integers(0, 2, (side // cell, side // cell), dtype=np.uint8)
    mask = fields.repeat(cell, 0).repeat(cell, 1)
    slope = np.linspace(0, 50, side).astype(np.uint8)
    grain = np.resize(random.integers(0, 16, 4096, dtype=np.uint8), side * side).reshape(side, side)
    plane = grain + mask * np.uint8(70) + slope + slope[:, None]
    image = np.stack([plane + np.uint8(10 * channel) for channel in range(3)], -1)
    for part, values in (("images", image), ("masks", mask)):
        path = folder / part / split / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, values, compression="zstd")


def measured(arguments: Sequence[str], folder: Path, shown: str) -> Usage:
    """Run nas-attn in a folder and watch its memory.

    Raises:
        CalledProcessError: it fails.
    """
    started, peaks = time.perf_counter(), [0.0, 0.0, 0.0]
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_attn", *arguments], cwd=folder, stdout=log, stderr=log
        )
        while process.poll() is None:
            held = [_held(one) for one in _tree(process.pid)]
            memory, files = (sum(part) / _MIB for part in zip(*held, strict=True)) if held else (0.0, 0.0)
            now = (memory, memory + files, max((one for one, _ in held), default=0) / _MIB)
            peaks = [max(pair) for pair in zip(peaks, now, strict=True)]
            time.sleep(_SECONDS)
    if process.returncode:
        print((folder / "log.txt").read_text(encoding="utf-8")[-3000:], file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, shown)
    return Usage(shown, time.perf_counter() - started, *peaks)


def _tree(root: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield root
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _held(process: int) -> tuple[int, int]:
    """Bytes of memory, and of mapped files, each shared page divided by those who share it."""
    try:
        told = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0, 0
    kib = {name: int(number) for name, number in re.findall(r"^(Pss_\w+): +(\d+)", told, re.MULTILINE)}
    return 1024 * (kib["Pss_Anon"] + kib["Pss_Shmem"]), 1024 * kib["Pss_File"]


def run(folder: Path, gigabytes: float) -> dict[str, object]:
    """Make the set, search it, predict, and say what that took."""
    began = time.perf_counter()
    size = make_set(folder / "large", gigabytes)
    print(f"{size:.1f} GB in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    run_in = partial(measured, folder=folder)
    search = ["search", "--study", "large", "--data", "large", "--device", "cpu", "--workers", "2"]
    search += ["--strategy", "random", "--trials", "2", "--steps", "20", "--image-size", "64", "--batch-size", "4"]
    search += ["--base-channels", "2", "--longest-side", "full", "--precision", "float32"]
    train = ["train", "studies/large/best.yaml", "--data", "small", "--epochs", "1", "--crop", "64", "-o", "run"]
    predict = ["predict", "run", "large/images/val", "-o", "predicted", "--tile", "1024"]
    rows = [
        run_in(search, shown="search, 2 workers"),
    ]
    run_in([*train, "--accelerator", "cpu"], shown="train")
    rows.append(run_in([*predict, "--accelerator", "cpu"], shown="predict --tile 1024"))
    packed = sum(path.stat().st_size for path in folder.glob("studies/large/packed-images/*/*/*.npy"))
    return {"decoded_gb": size, "packed_gb": packed / 1e9, "commands": [asdict(row) for row in rows]}


def main() -> int:
    """Print a table, and write it as JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="decoded size of the set, in 10^9 bytes [2]")
    parser.add_argument(
        "--folder", type=Path, help="where the set and the study are made, and removed [temporary]"
    )
    parser.add_argument("--out", type=Path, help="file for the figures, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = run(Path(folder), arguments.gigabytes)
    print(f"{found['decoded_gb']:.1f} GB decoded, {found['packed_gb']:.1f} GB packed; peaks in MiB")
    print(f"{'command':32} {'seconds':>8} {'memory':>8} {'with mapped files':>18} {'largest process':>16}")
    for row in found["commands"]:
        figures = f"{row['memory']:8.0f} {row['with_files']:18.0f} {row['largest_process']:16.0f}"
        print(f"{row['command']:32} {row['seconds']:8.0f} {figures}")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
