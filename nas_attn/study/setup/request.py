"""What a user may say about a search, and whether it makes sense: one table for flags, study files and Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from nas_attn.budget import PLAIN, SCRATCH
from nas_attn.errors import SpaceError, UsageError
from nas_attn.kind import START
from nas_attn.ranking import COSTS
from nas_attn.space import Ceiling
from nas_attn.study.log import LEVELS

AUTO = "auto"
FULL = "full"
SYNTHETIC, CLIPS = "synthetic", "clips"
BUILT_IN = (SYNTHETIC, CLIPS)
"""Data that need no folder."""
PROCESSES, RAY = "processes", "ray"
FAIL, SPLIT = "fail", "split"
LOCAL = "local"
"""In place of the address of a Ray cluster: one is started on this machine."""
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", re.ASCII)
DEVICE = re.compile(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", re.ASCII)
DURATION = re.compile(r"(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s)?", re.ASCII)
LADDER = re.compile(r"auto|\d{1,9}(,\d{1,9})+", re.ASCII)

_STEPS = (1, 10**8)
_WHOLE = {
    "trials": (1, 10**6),
    "seed": (0, 2**32 - 1),
    "base_channels": (1, 4096),
    "image_size": (4, 4096),
    "frames": (1, 256),
    "batch_size": (1, 4096),
    "steps": _STEPS,
    "max_positions": (1, 2**31 - 1),
    "parallel": (1, 4096),
    "screening_seeds": (1, 1000),
    "longest_side": (4, 65536),
    "workers": (1, 4096),
}
"""Least and most of each whole number: what lies beyond is a slip of the keyboard, or does not fit in 64 bits."""
_LONGEST_SECONDS = 366 * 24 * 3600
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes of a file's name and of a path, in nearly every file system."""

PRECISIONS = ("float32+channels_last", "float32", "bfloat16+channels_last", "bfloat16")

_WORDS = {
    "cost": tuple(COSTS),
    "budget": (AUTO,),
    "start": tuple(map(str, START.choices)),
    "precision": (AUTO, *PRECISIONS),
    "ladder_start": (SCRATCH, PLAIN),
    "log_level": LEVELS,
    "engine": (PROCESSES, RAY),
    "out_of_memory": (FAIL, SPLIT),
}

NUMBERS = (*_WHOLE, "finalists", "gpu_share")
"""Fields that are numbers, or may be."""


@dataclass(frozen=True)
class StudyRequest:
    """A search as it was asked for; None leaves a choice to the device's preset or to the space.

    Args:
        study: its name; None makes one from the space and the data.
        space: name of a search space, or path of its file.
        data: a folder of images and masks, or ``synthetic``, or ``clips``.
        trials: how many trials the study shall have in the end; None is 200, or with a timeout as many as there is
            time for.
        timeout: time of all trials together after which none begins, such as ``30m`` or ``1h30m``; None for no
            limit. The race of the leaders gets its share of it.
        seed: of everything random.
        screening_seeds: proposals take so many seeds in turn, so that what an attention gains by luck with one
            seed does not lead the search.
        strategy: who proposes placements.
        cost: the second objective: ``macs``, ``parameters``, ``latency`` or ``memory``.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
        start: ``paper`` or ``identity``, the start of every attention that the space does not decide.
        base_channels: C of the network at full resolution.
        image_size: side of the training crops, in pixels.
        frames: T, so many consecutive frames of a clip go through the network together; None for still images.
        batch_size: crops of a step; of clips, so many windows of T frames.
        steps: optimiser steps of a trial; with ``budget: auto`` where the doubling begins.
        budget: ``auto`` doubles the steps until the plain U-Net has converged.
        ladder: steps of short, longer and full trials, such as ``60,180,540``; ``auto`` for a ninth, a third and
            all of the steps, the short ones once they are proven to foretell full ones; None runs all in full.
        ladder_start: where the shorter trials of a ladder start: from the weights of the ``plain`` U-Net after a
            full trial, or from ``scratch``.
        longest_side: larger images are shrunk to it, in pixels; ``full`` leaves them as they are.
        max_macs: ceiling, such as ``1.5x`` the plain U-Net or ``2.1G``; None keeps the space's.
        max_parameters: ceiling likewise.
        max_cost: ceiling of the second objective, where that is ``macs`` or ``parameters``.
        finalists: share of the trials that repeats the leading placements with further seeds.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, or several as ``cuda:0,cuda:2``, a worker on each.
        workers: trials that run at once; ``auto`` is one for each core, or as many as a GPU runs
            fastest.
        parallel: for how many trials at once, on all machines together, the study is laid out; None is as many as
            there are workers here, or as it was laid out for before.
        engine: who runs the workers: ``processes`` of this machine, or ``ray``.
        address: of the Ray cluster; ``local`` starts one on this machine.
        gpu_share: what a worker of Ray gets of a GPU.
        precision: number format and memory layout, such as ``bfloat16+channels_last``; ``auto`` is the fastest on
            this machine, measured once.
        out_of_memory: ``fail`` records that a trial ran out of memory; ``split`` first goes through its batches in
            parts, where that does not change the result.
        log_level: least level of the lines in the study's log files.
    """

    study: str | None = None
    space: str = "unet_attention"
    data: str = SYNTHETIC
    trials: int | None = None
    timeout: str | None = None
    seed: int = 0
    screening_seeds: int = 4
    strategy: str = "additive"
    cost: str = "macs"
    storage: str | None = None
    start: str | None = None
    base_channels: int | None = None
    image_size: int | None = None
    frames: int | None = None
    batch_size: int | None = None
    steps: int | None = None
    budget: str | None = None
    ladder: str | None = None
    ladder_start: str = PLAIN
    longest_side: int | str | None = None
    max_macs: str | int | None = None
    max_parameters: str | int | None = None
    max_cost: str | int | None = None
    finalists: float = 0.25
    device: str = AUTO
    workers: int | str = AUTO
    parallel: int | None = None
    engine: str = PROCESSES
    address: str = LOCAL
    gpu_share: float = 1.0
    precision: str = AUTO
    out_of_memory: str = FAIL
    log_level: str = "info"

    def to_dict(self) -> dict[str, object]:
        """What was said, as plain values; what was left open is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


FIELDS = tuple(field.name for field in fields(StudyRequest))


def request_from(values: Mapping[str, object]) -> StudyRequest:
    """A request from plain values.

    Raises:
        UsageError: values do not fit; all are named together.
    """
    if found := request_problems(values):
        raise UsageError([f"{name}: {problem}" for name, problem in found])
    return StudyRequest(**values)  # type: ignore[arg-type]  # request_problems has judged every value


def kept_request(values: Mapping[str, Any]) -> StudyRequest:
    """The request with which a study was begun, from the values that it keeps.

    A study from before proposals took several seeds in turn took one, and one from before short runs could start
    elsewhere began them from scratch.
    """
    return StudyRequest(**{"screening_seeds": 1, "ladder_start": SCRATCH, **values})


def request_problems(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """What is wrong with each value, as (field, problem) pairs; None is always allowed."""
    return [
        (name, problem)
        for name, value in values.items()
        if value is not None and (problem := _problem(name, value))
    ]


def _problem(name: str, value: object) -> str | None:
    if name in ("longest_side", "workers"):
        word = FULL if name == "longest_side" else AUTO
        return None if value == word else _whole_problem(value, *_WHOLE[name], f" or '{word}'")
    if name in _WHOLE:
        return _whole_problem(value, *_WHOLE[name])
    if name == "finalists":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
        return None if fits else f"{value!r} must be a number from 0 to below 1"
    if name == "gpu_share":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 8
        return None if fits else f"{value!r} must be a number above 0, such as 0.25 for four workers on a GPU"
    if name in ("max_macs", "max_parameters", "max_cost"):
        return _ceiling_problem(value)
    if not isinstance(value, str) or not value:
        return f"{value!r} must be a word"
    if name == "study" and not STUDY_NAME.fullmatch(value):
        return f"'{value}' is no name; use letters, digits, '_', '-' and '.', at most 80"
    if name in ("data", "space") and (problem := _path_problem(value)):
        return problem
    if name == "timeout" and not seconds(value):
        return f"'{_short(value)}' is no time; write 90s, 30m or 1h30m, of at most a year"
    if name == "ladder" and not _is_ladder(value):
        return f"'{_short(value)}' is no ladder; write growing numbers of steps such as 60,180,540, or auto"
    if name == "device" and not DEVICE.fullmatch(value):
        return f"unknown device '{value}'; it must be auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2"
    if name in _WORDS:
        return None if value in _WORDS[name] else f"'{value}' must be {' | '.join(_WORDS[name])}"
    return None


def seconds(text: str) -> int | None:
    """The time that a text such as ``1h30m`` stands for; None where it is none, or more than a year."""
    if not (match := DURATION.fullmatch(text)):
        return None
    hours, minutes, rest = (int(match[unit] or 0) for unit in "hms")
    total = 3600 * hours + 60 * minutes + rest
    return total if 0 < total <= _LONGEST_SECONDS else None


def _is_ladder(text: str) -> bool:
    if not LADDER.fullmatch(text):
        return False
    steps = [] if text == AUTO else [int(part) for part in text.split(",")]
    return all(one < other for one, other in pairwise([0, *steps])) and all(step <= _STEPS[1] for step in steps)


def _whole_problem(value: object, least: int, most: int, otherwise: str = "") -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and least <= value <= most:  # type: ignore[operator]  # a whole number has an order
        return None
    if whole and value > most:  # type: ignore[operator]
        shown = str(value) if value < 10**30 else "a number of more than 30 digits"  # type: ignore[operator]
        return f"{shown} must be a whole number of at most {most}{otherwise}"
    return f"{_short(repr(value))} must be a whole number of at least {least}{otherwise}"


def _path_problem(value: str) -> str | None:
    if "\0" in value:
        return f"{_short(value)!r} has a NUL in it, which no path can have"
    encoded = [part.encode("utf-8", "surrogateescape") for part in value.split("/")]
    if max(map(len, encoded)) > _LONGEST_NAME or sum(map(len, encoded)) + len(encoded) - 1 > _LONGEST_PATH:
        return f"'{_short(value)}' is too long for a path: a name has at most {_LONGEST_NAME} bytes"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _ceiling_problem(value: object) -> str | None:
    try:
        Ceiling.parse(value)
    except SpaceError as error:
        return str(error)
    return None
