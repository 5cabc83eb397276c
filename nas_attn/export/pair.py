"""A Python file and the weights beside it, which nobody named: whether they may be replaced."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from nas_attn.errors import ExportError
from nas_attn.training.full.weights import read_info

_HEAD = '"""Attention U-Net: '


def check_pair(source: Path, weights: Path, ours: Path) -> None:
    """Make sure that weights which lie beside a Python file belong to it, or are those that are to be written.

    Args:
        source: the Python file that was asked for.
        weights: the file beside it.
        ours: what is to be written there.
    Raises:
        ExportError: the file is not of an earlier export.
    """
    if not os.path.lexists(weights) or _is_copy(weights, ours) or _is_pair(source, weights):
        return
    raise ExportError(
        f"{weights}: the weights of {source.name} would replace it, and it is not of an earlier export there; "
        "move it elsewhere, or give another -o"
    )


def _is_copy(weights: Path, ours: Path) -> bool:
    return weights.is_file() and (weights.samefile(ours) or filecmp.cmp(weights, ours, shallow=False))


def _is_pair(source: Path, weights: Path) -> bool:
    """Whether an export wrote both: the Python file names the weights, and 'nas-attn train' these."""
    if not (source.is_file() and weights.is_file()):
        return False
    try:
        text = source.read_text(encoding="utf-8")
        read_info(weights)
    except (OSError, ValueError, ExportError):
        return False
    return text.startswith(_HEAD) and f'load("{weights.name}")' in text
