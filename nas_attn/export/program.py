"""Write a network as a program of torch.export, and load and run it before it is kept."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from nas_attn.architecture.replacing import replacing
from nas_attn.export.subject import Subject
from nas_attn.export.trace import Attempt, graph_of


def write_program(subject: Subject, path: Path, image_size: int | None) -> str:
    """Write a program for ``torch.export.load``, which runs without the network's classes.

    Args:
        subject: to write.
        path: of the file.
        image_size: H and W of the images if the network cannot be exported for every size; None takes those of the
            search.
    Returns:
        in words, which sizes it takes, and how its results compare with the network's.
    Raises:
        ExportError: the network cannot be traced, its results differ, or the path cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "network.pt2"

        def attempt(program: torch.export.ExportedProgram, any_size: bool) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's own, of its next versions
                torch.export.save(program, written)
                return torch.export.load(written).module()

        verdict = graph_of(subject, path, image_size, Attempt("torch.export", attempt))
        with replacing(path) as part:
            shutil.copyfile(written, part)
    return verdict
