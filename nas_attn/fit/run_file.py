"""The files that a training leaves: each appears whole or not at all, or an error says why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from nas_attn.errors import TrainingError
from nas_attn.whole_file import whole_file


@contextlib.contextmanager
def run_file(path: Path) -> Iterator[Path]:
    """A new name beside a file of a run to write under, as ``whole_file`` gives it.

    Args:
        path: of the file; its folder must exist when the block ends.
    Raises:
        TrainingError: the file cannot be written.
    """
    try:
        with whole_file(path) as part:
            yield part
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk by an error of its own
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise TrainingError(
            f"{path}: cannot be written ({reason}); once it can, the same command goes on"
        ) from None
