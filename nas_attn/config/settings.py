"""The table of settings: each field of ``StudyRequest`` is a flag, a field of study files and a Python argument.

To add a setting, add a field here with its ``Setting`` and a parameter of ``nas_attn.api.search``.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, Lt

from nas_attn.budget import PLAIN, SCRATCH
from nas_attn.document.entry import shown
from nas_attn.document.words import Read, one_of
from nas_attn.kind import START
from nas_attn.space.ceiling import WAYS_TO_WRITE, Ceiling

AUTO: Final = "auto"
FULL: Final = "full"
SYNTHETIC, CLIPS = "synthetic", "clips"
BUILT_IN = (SYNTHETIC, CLIPS)
"""Data that need no folder."""
PROCESSES, RAY = "processes", "ray"
FAIL, SPLIT = "fail", "split"
LOCAL = "local"
"""In place of the address of a Ray cluster: one is started on this machine."""
COSTS = ("macs", "parameters", "latency", "memory")
PRECISIONS = ("float32+channels_last", "float32", "bfloat16+channels_last", "bfloat16")
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", re.ASCII)

_DEVICE = re.compile(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", re.ASCII)
_DURATION = re.compile(r"(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s)?", re.ASCII)
_LADDER = re.compile(r"auto|\d{1,9}(,\d{1,9})+", re.ASCII)
_MOST_STEPS = 10**8
_LONGEST_SECONDS = 366 * 24 * 3600
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes of a file's name and of a path, in nearly every file system."""


@dataclass(frozen=True)
class Setting:
    """What is said of a setting, beside its type.

    Args:
        group: under which heading of the help it stands; one of ``GROUPS``.
        about: what it is, in words.
        otherwise: what holds where it is None.
    """

    group: str
    about: str
    otherwise: str = ""


GROUPS = ("common", "data", "network", "budget", "statistics", "cluster")
_COMMON, _DATA, _NETWORK, _BUDGET, _STATISTICS, _CLUSTER = GROUPS
_PRESET = "preset of the device"


def seconds(text: str) -> int | None:
    """The time that a text such as ``1h30m`` stands for; None where it is none, or more than a year."""
    if not (match := _DURATION.fullmatch(text)):
        return None
    hours, minutes, rest = (int(match[unit] or 0) for unit in "hms")
    total = 3600 * hours + 60 * minutes + rest
    return total if 0 < total <= _LONGEST_SECONDS else None


def _named(value: object) -> str:
    if isinstance(value, str) and STUDY_NAME.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} is no name; use letters, digits, '_', '-' and '.', at most 80")


def _path(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} must be text")
    if "\0" in value:
        raise ValueError(f"{shown(value)} has a NUL in it, which no path can have")
    encoded = [part.encode("utf-8", "surrogateescape") for part in value.split("/")]
    if max(map(len, encoded)) > _LONGEST_NAME or sum(map(len, encoded)) + len(encoded) - 1 > _LONGEST_PATH:
        raise ValueError(f"{shown(value)} is too long for a path: a name has at most {_LONGEST_NAME} bytes")
    return value


def _duration(value: object) -> str:
    if isinstance(value, str) and seconds(value):
        return value
    raise ValueError(f"{shown(value)} is no time; write 90s, 30m or 1h30m, of at most a year")


def _ladder(value: object) -> str:
    if isinstance(value, str) and _LADDER.fullmatch(value):
        steps = [] if value == AUTO else [int(part) for part in value.split(",")]
        if all(one < other <= _MOST_STEPS for one, other in pairwise([0, *steps])):
            return value
    raise ValueError(f"{shown(value)} is no ladder; write growing numbers of steps such as 60,180,540, or auto")


def _device(value: object) -> str:
    if isinstance(value, str) and _DEVICE.fullmatch(value):
        return value
    raise ValueError(f"unknown device {shown(value)}; it must be {_DEVICES}")


def _ceiling(value: object) -> object:
    Ceiling.parse(value)
    return value


_DEVICES = "auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2"
_Ladder = Annotated[str, Read(_ladder, "steps such as 60,180,540, or auto")]
_Ceiling = Annotated[str | int, Read(_ceiling, WAYS_TO_WRITE)]
_Trials = Annotated[int, Ge(1), Le(10**6)]
_Count = Annotated[int, Ge(1), Le(4096)]
_Text = Annotated[str, Read(_path, "text")]


@dataclass(frozen=True)
class StudyRequest:
    """A search as it was asked for; None leaves a choice to the device's preset or to the space."""

    study: Annotated[
        Annotated[str, Read(_named, "letters, digits, '_', '-' and '.'")] | None,
        Setting(_COMMON, "name of the study", "made of the space's and the data's"),
    ] = None
    space: Annotated[_Text, Setting(_COMMON, "search space, a name that 'nas-attn spaces' lists or a file")] = (
        "unet_attention"
    )
    data: Annotated[_Text, Setting(_COMMON, "folder with images/ and masks/, or synthetic, or clips")] = SYNTHETIC
    trials: Annotated[
        _Trials | None,
        Setting(
            _COMMON,
            "how many trials the study shall have in the end",
            "200, or with a timeout as many as there is time for",
        ),
    ] = None
    timeout: Annotated[
        Annotated[str, Read(_duration, "such as 90s, 30m or 1h30m")] | None,
        Setting(_COMMON, "time of all trials together, after which none begins", "no limit"),
    ] = None
    seed: Annotated[Annotated[int, Ge(0), Le(2**32 - 1)], Setting(_COMMON, "seed of everything random")] = 0
    screening_seeds: Annotated[
        Annotated[int, Ge(1), Le(1000)],
        Setting(
            _STATISTICS,
            "how many seeds the proposals take in turn, so that the luck of one seed does not lead the search",
        ),
    ] = 4
    strategy: Annotated[
        Annotated[str, Read(_path, "name of a strategy")], Setting(_COMMON, "who proposes placements")
    ] = "additive"
    cost: Annotated[Annotated[str, one_of(*COSTS)], Setting(_COMMON, "second objective")] = "macs"
    storage: Annotated[
        str | None, Setting(_CLUSTER, "SQLAlchemy URL of the study", "SQLite at studies/STUDY/study.db")
    ] = None
    start: Annotated[
        Annotated[str, one_of(*map(str, START.choices))] | None,
        Setting(_NETWORK, "start of every attention that the space does not decide", "the space's"),
    ] = None
    base_channels: Annotated[
        _Count | None, Setting(_NETWORK, "channels of the network at full resolution", _PRESET)
    ] = None
    image_size: Annotated[
        Annotated[int, Ge(4), Le(4096)] | None, Setting(_DATA, "side of the training crops in pixels", _PRESET)
    ] = None
    frames: Annotated[
        Annotated[int, Ge(1), Le(256)] | None,
        Setting(
            _DATA, "consecutive frames of a clip that go through the network together", "the space's, or preset"
        ),
    ] = None
    batch_size: Annotated[
        _Count | None, Setting(_DATA, "crops of a step; of clips, windows of --frames", _PRESET)
    ] = None
    steps: Annotated[
        Annotated[int, Ge(1), Le(_MOST_STEPS)] | None, Setting(_BUDGET, "optimiser steps of a trial", _PRESET)
    ] = None
    budget: Annotated[
        Annotated[str, one_of(AUTO)] | None,
        Setting(
            _BUDGET,
            "how the steps are found; auto doubles them until the baseline (plain U-Net) has converged",
            "as given",
        ),
    ] = None
    ladder: Annotated[
        _Ladder | None,
        Setting(
            _BUDGET,
            "steps of short, longer and full trials; auto takes a ninth and a third once they are proven to "
            "foretell full trials",
            "all trials in full",
        ),
    ] = None
    ladder_start: Annotated[
        Annotated[str, one_of(SCRATCH, PLAIN)],
        Setting(
            _BUDGET,
            "where the shorter trials of a ladder start, at the trained plain U-Net or from scratch",
        ),
    ] = PLAIN
    longest_side: Annotated[
        Annotated[int, Ge(4), Le(65536)] | Literal["full"] | None,
        Setting(
            _DATA,
            "side in pixels to which larger images of a folder are shrunk; full leaves them as they are",
            _PRESET,
        ),
    ] = None
    max_macs: Annotated[_Ceiling | None, Setting(_NETWORK, "ceiling of the MACs", "the space's")] = None
    max_parameters: Annotated[_Ceiling | None, Setting(_NETWORK, "ceiling of the parameters", "the space's")] = (
        None
    )
    max_cost: Annotated[
        _Ceiling | None,
        Setting(_NETWORK, "ceiling of what --cost names, where that is macs or parameters", "none"),
    ] = None
    finalists: Annotated[
        Annotated[float, Ge(0), Lt(1)],
        Setting(_STATISTICS, "share of the trials that repeats the leading placements with further seeds"),
    ] = 0.25
    device: Annotated[
        Annotated[str, Read(_device, _DEVICES)], Setting(_COMMON, "where to train; of several, a worker on each")
    ] = AUTO
    workers: Annotated[
        _Count | Literal["auto"],
        Setting(_CLUSTER, "trials at once here; auto is one for each core, or as many as a GPU runs fastest"),
    ] = AUTO
    parallel: Annotated[
        _Count | None,
        Setting(
            _CLUSTER, "trials at once, on all machines together, where others join by 'nas-attn worker'", "workers"
        ),
    ] = None
    engine: Annotated[
        Annotated[str, one_of(PROCESSES, RAY)],
        Setting(_CLUSTER, "who runs the workers, processes of this machine or Ray"),
    ] = PROCESSES
    address: Annotated[
        _Text, Setting(_CLUSTER, "address of the Ray cluster, such as auto; local starts one here")
    ] = LOCAL
    gpu_share: Annotated[
        Annotated[float, Gt(0), Le(8)],
        Setting(_CLUSTER, "what each worker of Ray gets of a GPU, such as 0.25 for four workers on one"),
    ] = 1.0
    precision: Annotated[
        Annotated[str, one_of(AUTO, *PRECISIONS)],
        Setting(_NETWORK, "number format and memory layout; auto is the fastest here, measured once"),
    ] = AUTO
    out_of_memory: Annotated[
        Annotated[str, one_of(FAIL, SPLIT)],
        Setting(
            _BUDGET,
            "whether a trial that runs out of memory fails, or goes through its batches in parts if that changes "
            "nothing",
        ),
    ] = FAIL
    log_level: Annotated[
        Annotated[str, one_of("debug", "info", "warning", "error")],
        Setting(_CLUSTER, "least level of the lines in the log files, studies/STUDY/logs"),
    ] = "info"

    def to_dict(self) -> dict[str, object]:
        """What was said, as plain values; what was left open is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


FIELDS = tuple(field.name for field in fields(StudyRequest))
