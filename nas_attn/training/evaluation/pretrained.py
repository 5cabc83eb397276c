"""Weights of a trained network that other runs start from, kept for all workers of a machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas_attn.whole_file import whole_file

Weights = Mapping[str, Tensor]
"""Parameters and buffers by qualified name, on the CPU."""


def start_from(module: nn.Module, weights: Weights) -> None:
    """Load those weights whose name and shape a module shares; its other weights stay unchanged.

    Args:
        module: such as a U-Net with attention, whose layers are named like the baseline's.
        weights: of the baseline.
    """
    own = module.state_dict()
    shared = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    module.load_state_dict(shared, strict=False)


def kept_weights(path: Path | None, train: Callable[[], nn.Module]) -> Weights:
    """The weights in a file. If there is no such file, one worker trains and writes it while the others wait.

    Args:
        path: of a safetensors file; None keeps nothing.
        train: gives the trained network.
    """
    if path is None:
        return _weights(train())
    with FileLock(f"{path}.lock"):
        with suppress(OSError, SafetensorError):  # the file is missing or was cut short
            return load_file(path)
        weights = _weights(train())
        # A full disk must not fail the trial; safetensors reports it by an error of its own.
        with suppress(OSError, SafetensorError), whole_file(path) as part:
            save_file(weights, part)
        return weights


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
