"""What does a search itself take of a machine whose cores all train networks, and what with BLAS of many threads?

A study of a world (``worlds.py``) is played in fresh processes, from its first proposal to its verdict, beside as
many processes as there are cores, each of which only counts. In every second one the model's linear algebra takes
as many threads as BLAS has, in place of one. Nothing is trained.

    python benchmarks/busy_machine.py
    python benchmarks/busy_machine.py --trials 200 --world sparse --busy 0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from claims import play
from worlds import WORLDS

from nas_attn.analysis import linear_algebra

_WARM_UP_TRIALS = 20
Times = tuple[float, float]
"""Seconds by the clock, and of all threads of the processor."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=list(WORLDS), default="dense-images-24")
    parser.add_argument("--trials", type=int, default=120, help="of the study (%(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="of studies (%(default)s)")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="processes beside it (%(default)s)")
    parser.add_argument("--threads", choices=("one", "all"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.threads:
        print(json.dumps(_times(asked)))
        return
    with _busy(asked.busy):
        pairs = [[_of_child(asked, threads) for threads in ("all", "one")] for _ in range(asked.pairs)]
    for number, clock in enumerate(("by the clock", "of the processor")):
        many, one = (median(pair[side][number] for pair in pairs) for side in (0, 1))
        ratios = sorted(pair[0][number] / pair[1][number] for pair in pairs)
        print(
            f"seconds {clock}: {many:.1f} with all threads, {one:.1f} with one; "
            f"{median(ratios):.1f} times ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )


def _times(asked: argparse.Namespace) -> Times:
    as_it_is = SimpleNamespace(limit=lambda **limits: nullcontext())
    unlimited: Any = patch.object(linear_algebra, "_threads", lambda: as_it_is)
    with nullcontext() if asked.threads == "one" else unlimited:
        play(WORLDS[asked.world], 0, _WARM_UP_TRIALS)
        began, began_all = time.monotonic(), time.process_time()
        play(WORLDS[asked.world], 1, asked.trials)
        return time.monotonic() - began, time.process_time() - began_all


def _of_child(asked: argparse.Namespace, threads: str) -> Times:
    command = [
        sys.executable,
        __file__,
        "--threads",
        threads,
        "--world",
        asked.world,
        "--trials",
        str(asked.trials),
    ]
    clock, processor = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return clock, processor


@contextmanager
def _busy(number: int) -> Iterator[None]:
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
