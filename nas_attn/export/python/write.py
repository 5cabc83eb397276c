"""Write the Python file of a network, executed and compared before it is kept, and the weights next to it."""

from __future__ import annotations

import filecmp
import os
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

from nas_attn.architecture.replacing import write_text
from nas_attn.errors import ExportError
from nas_attn.export.agreement import Agreement, compare, probes, stirred
from nas_attn.export.python.file import python_source
from nas_attn.export.subject import Subject
from nas_attn.training.full.weights import read_info

_HEAD = '"""Attention U-Net: '
"""Beginning of a Python file of an earlier export."""


def write_python(subject: Subject, path: Path, weights: str) -> str:
    """Write a Python file that builds the network with PyTorch alone.

    Args:
        subject: to write.
        path: of the file.
        weights: name of the file with the weights, for the example in the head.
    Returns:
        in words, how the file's network compares with that of nas-attn.
    Raises:
        ExportError: the path cannot be written, or the file's network is not equal to the bit.
    """
    return write_compared(subject, path, python_source(subject.architecture, subject.trained, weights))


def write_compared(subject: Subject, path: Path, source: str) -> str:
    """Write a source whose ``build`` returns the network; as ``write_python``."""
    agreement = _agreement(subject, source, path)
    if not agreement.exact:
        raise ExportError(f"{path}: not written: the file's network is not the same ({agreement})")
    write_text(path, source)
    return str(agreement)


def executed(source: str, path: Path) -> ModuleType:
    """The module that a source defines, which is not imported.

    Args:
        source: made from our own sources, and from checked values written as literals.
        path: name of the file in its error messages.
    """
    module = ModuleType("nas_attn_exported")
    with mock.patch.dict(sys.modules, {module.__name__: module}):  # a dataclass looks for its module
        exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def check_pair(source: Path, weights: Path, ours: Path) -> None:
    """Check that the weights next to a Python file belong to it, or are those that are to be written.

    Args:
        source: the Python file to write.
        weights: the file next to it.
        ours: the weights to write there.
    Raises:
        ExportError: the file does not come from an earlier export.
    """
    if not os.path.lexists(weights) or _is_copy(weights, ours) or _is_pair(source, weights):
        return
    raise ExportError(
        f"{weights}: the weights of {source.name} would replace it, and it is not of an earlier export there; "
        "move it elsewhere, or give another -o"
    )


def _agreement(subject: Subject, source: str, path: Path) -> Agreement:
    """Compare both with the same weights, all of them different from 0, so that every module has an effect."""
    module = executed(source, path)
    network, copy = subject.network(), module.build()
    if (ours := sorted(network.state_dict())) != (theirs := sorted(copy.state_dict())):
        odd = sorted(set(ours) ^ set(theirs))
        raise ExportError(
            f"{path}: not written: the network of the file has different weights, the first of them '{odd[0]}'"
        )
    state = stirred(network.state_dict())
    network.load_state_dict(state)
    copy.load_state_dict(state)
    config = subject.architecture.network
    images = probes(config.in_channels, subject.architecture.image_size, config.min_image_size, config.frames)
    multi_label = subject.architecture.multi_label
    return compare(network.eval(), copy.eval(), list(images), multi_label=multi_label)


def _is_copy(weights: Path, ours: Path) -> bool:
    return weights.is_file() and (weights.samefile(ours) or filecmp.cmp(weights, ours, shallow=False))


def _is_pair(source: Path, weights: Path) -> bool:
    """Whether an export wrote both: the Python file names the weights, and 'nas-attn train' wrote these."""
    if not (source.is_file() and weights.is_file()):
        return False
    try:
        text = source.read_text(encoding="utf-8")
        read_info(weights)
    except (OSError, ValueError, ExportError):
        return False
    return text.startswith(_HEAD) and f'load("{weights.name}")' in text
