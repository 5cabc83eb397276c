"""A training script, whose network is compared before it is kept."""

from __future__ import annotations

from pathlib import Path

from nas_attn.export.python.write import write_compared
from nas_attn.export.script.file import script_source
from nas_attn.export.subject import Subject


def write_script(subject: Subject, path: Path) -> str:
    """Write a script that trains the network of an architecture from its start.

    Args:
        subject: what to train; its weights are left alone.
        path: of the file.
    Returns:
        in words, how the script's network compares with that of nas-attn.
    Raises:
        ExportError: the script cannot train it as a search did, or the path cannot be written.
    """
    return write_compared(subject, path, script_source(subject.architecture, path.name, subject.longest_side))
