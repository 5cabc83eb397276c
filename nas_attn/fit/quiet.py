"""Lightning without its advice."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_NOT_FOR_US = (
    r".*does not have many workers.*",  # the images are in memory and cut on the device
    r".*smaller than the logging interval.*",  # the curve has a line for every epoch
    r"Checkpoint directory .* exists and is not empty.*",  # that is how a training goes on
    r".*`ckpt_path` .* being used to resume.*",
    r"`broadcast_buffers` is deprecated.*",  # its heir is unknown to the torch of a year ago
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning with a newer torch
)


@contextmanager
def lightning_warnings() -> Iterator[None]:
    """Silence its notes, and the warnings that do not concern this use of it."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _NOT_FOR_US:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
