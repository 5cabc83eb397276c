"""Where a training runs and in which precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nas_attn.errors import TrainingError
from nas_attn.training import Precision
from nas_attn.training.full.plan import FitSettings


@dataclass(frozen=True)
class Hardware:
    """The processors of a training.

    Args:
        accelerator: ``cpu`` or ``cuda``.
        devices: how many, each with a process of its own.
        precision: number format and memory layout.
    """

    accelerator: str
    devices: int
    precision: Precision

    @property
    def device(self) -> torch.device:
        """Where the results are judged."""
        return torch.device(self.accelerator)

    def __str__(self) -> str:
        number = f"{self.devices} x " if self.devices > 1 else ""
        numbers = "bfloat16" if self.precision.bfloat16 else "float32"
        return f"{number}{self.accelerator}, {numbers}"


def choose_hardware(settings: FitSettings) -> Hardware:
    """What the settings ask for, if it is there.

    Raises:
        TrainingError: there is no GPU, or not so many; or the batch cannot be shared out evenly.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.accelerator == "cuda" and not n_gpus:
        raise TrainingError("accelerator is 'cuda', but torch finds no GPU here; leave it out, or give 'cpu'")
    on_gpu = n_gpus > 0 and settings.accelerator != "cpu"
    devices = settings.devices or (n_gpus if on_gpu else 1)
    if on_gpu and devices > n_gpus:
        raise TrainingError(f"devices is {devices}, but torch finds {n_gpus} GPU{'s' if n_gpus > 1 else ''} here")
    if settings.batch_size % devices:
        raise TrainingError(
            f"batch_size is {settings.batch_size}, which {devices} devices cannot share evenly; "
            f"give a multiple of {devices}"
        )
    bfloat16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return Hardware("cuda" if on_gpu else "cpu", devices, Precision(bfloat16, channels_last=on_gpu))
