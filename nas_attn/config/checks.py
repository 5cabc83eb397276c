"""Checks of settings beyond their types. Each function returns the value, or raises what is wrong with it."""

from __future__ import annotations

import re
from itertools import pairwise

from nas_attn.document import shown
from nas_attn.space.ceiling import Ceiling

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", re.ASCII)
DEVICES = "auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2"
CLASS_WEIGHTS = "none | auto | numbers above 0 such as 1,2.5,4"
MOST_STEPS = 10**8

_DEVICE = re.compile(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", re.ASCII)
_DURATION = re.compile(r"(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s)?", re.ASCII)
_LADDER = re.compile(r"auto|\d{1,9}(,\d{1,9})+", re.ASCII)
_LONGEST_SECONDS = 366 * 24 * 3600
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Maximum bytes of a file name and of a path, in nearly every file system."""


def seconds(text: str) -> int | None:
    """The seconds of a text such as ``1h30m``; None if it is not a time, or more than a year."""
    if not (match := _DURATION.fullmatch(text)):
        return None
    hours, minutes, rest = (int(match[unit] or 0) for unit in "hms")
    total = 3600 * hours + 60 * minutes + rest
    return total if 0 < total <= _LONGEST_SECONDS else None


def named(value: object) -> str:
    """A study's name."""
    if isinstance(value, str) and STUDY_NAME.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} is not a name; use letters, digits, '_', '-' and '.', at most 80")


def path(value: object) -> str:
    """A text that can be a path."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} must be text")
    if "\0" in value:
        raise ValueError(f"{shown(value)} has a NUL in it, which no path can have")
    encoded = [part.encode("utf-8", "surrogateescape") for part in value.split("/")]
    if max(map(len, encoded)) > _LONGEST_NAME or sum(map(len, encoded)) + len(encoded) - 1 > _LONGEST_PATH:
        raise ValueError(
            f"{shown(value)} is too long for a path: each part may have at most {_LONGEST_NAME} bytes"
        )
    return value


def duration(value: object) -> str:
    """A time that ``seconds`` reads."""
    if isinstance(value, str) and seconds(value):
        return value
    raise ValueError(f"{shown(value)} is not a time; write 90s, 30m or 1h30m, of at most a year")


def ladder(value: object) -> str:
    """Growing numbers of steps, or ``auto``."""
    if isinstance(value, str) and _LADDER.fullmatch(value):
        steps = [] if value == "auto" else [int(part) for part in value.split(",")]
        if all(one < other <= MOST_STEPS for one, other in pairwise([0, *steps])):
            return value
    raise ValueError(f"{shown(value)} is not a ladder; write growing numbers of steps such as 60,180,540, or auto")


def device(value: object) -> str:
    """A device of torch, several CUDA devices, or ``auto``."""
    if isinstance(value, str) and _DEVICE.fullmatch(value):
        return value
    raise ValueError(f"unknown device {shown(value)}; it must be {DEVICES}")


def ceiling(value: object) -> object:
    """A ceiling as it is written, in the format of ``Ceiling.parse``."""
    Ceiling.parse(value)
    return value


def class_weights(value: object) -> str:
    """Numbers above 0, one for each class, or ``auto``, or ``none``."""
    if isinstance(value, str) and (value in ("auto", "none") or _are_weights(value)):
        return value
    raise ValueError(f"{shown(value)} must be {CLASS_WEIGHTS}")


def _are_weights(text: str) -> bool:
    """Whether all are numbers above 0."""
    try:
        return all(0 < number < float("inf") for number in map(float, text.split(",")))
    except ValueError:
        return False
