"""Weights of a trained network that other runs start from, kept for all workers of a machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Weights = Mapping[str, Tensor]
"""Parameters and buffers by qualified name, on the CPU."""


def start_from(module: nn.Module, weights: Weights) -> None:
    """Let a module have the weights of the same name and shape; what it has besides stays as it is.

    Args:
        module: such as a U-Net with attention, whose layers are named like the plain one's.
        weights: of the plain one.
    """
    own = module.state_dict()
    shared = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    module.load_state_dict(shared, strict=False)


def kept_weights(path: Path | None, train: Callable[[], nn.Module]) -> Weights:
    """The weights in a file; where there is none yet, one worker trains and writes it while the others wait.

    Args:
        path: of a safetensors file; None keeps nothing.
        train: gives the trained network.
    """
    if path is None:
        return _weights(train())
    with FileLock(f"{path}.lock"):
        if path.exists():
            return load_file(path)
        weights = _weights(train())
        with suppress(OSError):  # a full disk costs time, not the trial
            _write(weights, path)
        return weights


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _write(weights: dict[str, Tensor], path: Path) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        save_file(weights, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
