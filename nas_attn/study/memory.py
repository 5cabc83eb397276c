"""Measurements of this machine, stored in a file of the user's cache folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Container
from pathlib import Path

import torch

from nas_attn.budget import Budget
from nas_attn.models.described_network import Network
from nas_attn.whole_file import whole_file


def measured_once(
    what: str, key: str, allowed: Container[str], measure: Callable[[], object], memory: Path | None
) -> str:
    """The result of a measurement as a word: the stored one, or a new one, which is stored.

    Args:
        what: kind of the measurement.
        key: everything on which it depends, in words.
        allowed: possible results; other words in the file are ignored.
        measure: does it.
        memory: the file; None takes one in the user's cache folder.
    """
    memory = memory or default_memory(what)
    known = recall(memory, allowed)
    if key not in known:
        known[key] = str(measure())
        remember(memory, known)
    return known[key]


def default_memory(what: str) -> Path | None:
    """The file for one kind of measurement; None for a user without a home, as in many containers."""
    try:
        return Path.home() / ".cache" / "nas-attn" / f"{what}.json"
    except RuntimeError:
        return None


def described(device: str, network: Network, budget: Budget) -> str:
    """Everything on which a measurement of speed depends, in words; a key of the file."""
    return f"{device}, torch {torch.__version__}, {network.size_text}, {budget}"


def recall(memory: Path | None, words: Container[str]) -> dict[str, str]:
    """The allowed words in the file."""
    if memory is None:
        return {}
    try:
        values = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in values.items() if value in words} if isinstance(values, dict) else {}


def remember(memory: Path | None, known: dict[str, str]) -> None:
    """Write the file again. If that is impossible, the next search measures again."""
    if memory is None:
        return
    with contextlib.suppress(OSError, RuntimeError):  # the latter for links that lead in a circle
        memory.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(memory) as part:
            part.write_text(json.dumps(known, indent=1), encoding="utf-8")
