"""What was measured of this machine, remembered in a file of the user's cache folder."""

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
    """The word that a measurement gives: what the file says of it, or else what is measured now and written there.

    Args:
        what: kind of the measurement.
        key: all that it depends on, in words.
        allowed: words that it may give; any other in the file does not count.
        measure: does it.
        memory: the file; None is in the user's cache folder.
    """
    memory = memory or default_memory(what)
    known = recall(memory, allowed)
    if key not in known:
        known[key] = str(measure())
        remember(memory, known)
    return known[key]


def default_memory(what: str) -> Path | None:
    """The file for one kind of measurement; None for a user without a home, as in many a container."""
    try:
        return Path.home() / ".cache" / "nas-attn" / f"{what}.json"
    except RuntimeError:
        return None


def described(device: str, network: Network, budget: Budget) -> str:
    """All that a measurement of speed depends on, in words: a key of the file."""
    return f"{device}, torch {torch.__version__}, {network.size_text}, {budget}"


def recall(memory: Path | None, words: Container[str]) -> dict[str, str]:
    """What the file says, as far as it is one of these words."""
    if memory is None:
        return {}
    try:
        values = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in values.items() if value in words} if isinstance(values, dict) else {}


def remember(memory: Path | None, known: dict[str, str]) -> None:
    """Write the file anew; where that is not possible, the next search measures again."""
    if memory is None:
        return
    with contextlib.suppress(OSError, RuntimeError):  # the latter for links that lead in a circle
        memory.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(memory) as part:
            part.write_text(json.dumps(known, indent=1), encoding="utf-8")
