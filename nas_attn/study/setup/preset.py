"""Presets: sizes of the network and of a trial that fit the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nas_attn.config.settings import BUILT_IN, SYNTHETIC, SYNTHETIC_NULL
from nas_attn.errors import UsageError
from nas_attn.models.network import UNetConfig


@dataclass(frozen=True)
class Preset:
    """Default sizes of a search.

    Args:
        name: for the plan.
        base_channels: C of the network at full resolution.
        image_size: side of the training crops, in pixels.
        batch_size: crops of a step.
        steps: optimiser steps of a trial.
        longest_side: to which larger images of a folder are shrunk, in pixels; None leaves them as they are.
        n_train: number of synthetic training images.
        n_val: number of synthetic validation images.
        frames: T, if images are the frames of clips.
        depth: of a U-Net whose space leaves it open; the synthetic tasks are made for a network that sees only a
            part of the image, so it is shallow.
    """

    name: str
    base_channels: int
    image_size: int
    batch_size: int
    steps: int
    longest_side: int | None
    n_train: int
    n_val: int
    frames: int
    depth: int = UNetConfig.depth

    def batch_of(self, frames: int) -> int:
        """Crops of a step: about as many frames as still images, but at least four clips.

        Args:
            frames: T; 1 for still images.
        """
        return self.batch_size if frames == 1 else max(_LEAST_CLIPS, self.batch_size // frames)


_LEAST_CLIPS = 4
CPU_SYNTHETIC = Preset("cpu, built-in data", 8, 64, 4, 160, None, 256, 96, 4, depth=2)
CPU_BUILT_IN = Preset("cpu, other built-in data", 8, 32, 8, 240, None, 256, 96, 4)
CPU_FOLDER = Preset("cpu, own data", 8, 48, 8, 600, 96, 0, 0, 4)
GPU_SYNTHETIC = Preset("gpu, built-in data", 32, 128, 16, 2000, None, 1024, 256, 8, depth=2)
GPU_BUILT_IN = Preset("gpu, other built-in data", 32, 128, 16, 2000, None, 1024, 256, 8)
GPU_FOLDER = Preset("gpu, own data", 32, 256, 16, 3000, 1024, 0, 0, 8)

CPU_THEIRS_SYNTHETIC = Preset("cpu, your network, built-in data", 8, 64, 8, 150, None, 256, 96, 4)
CPU_THEIRS_FOLDER = Preset("cpu, your network, own data", 8, 96, 8, 300, 192, 0, 0, 4)
GPU_THEIRS_SYNTHETIC = Preset("gpu, your network, built-in data", 32, 128, 16, 2000, None, 1024, 256, 8)
GPU_THEIRS_FOLDER = Preset("gpu, your network, own data", 32, 256, 16, 3000, 1024, 0, 0, 8)
"""Networks of others halve an image five times, and cost more on a CPU."""


def preset_for(device: str, data: str, *, ours: bool = True) -> Preset:
    """The preset for a device such as ``cpu`` or ``cuda:0``, for a value of ``--data``, and for nas-attn's own
    U-Net or another network."""
    on_cpu = device == "cpu"
    if not ours:
        if data in BUILT_IN:
            return CPU_THEIRS_SYNTHETIC if on_cpu else GPU_THEIRS_SYNTHETIC
        return CPU_THEIRS_FOLDER if on_cpu else GPU_THEIRS_FOLDER
    if data in (SYNTHETIC, SYNTHETIC_NULL):
        return CPU_SYNTHETIC if on_cpu else GPU_SYNTHETIC
    if data in BUILT_IN:
        return CPU_BUILT_IN if on_cpu else GPU_BUILT_IN
    return CPU_FOLDER if on_cpu else GPU_FOLDER


def find_devices(asked: str) -> tuple[str, ...]:
    """The devices that ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``cuda:0,cuda:2`` stands for.

    Workers use them in turn, one each.

    Raises:
        UsageError: the machine has no such device.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and not found):
        return ("cpu",)
    if not found:
        raise UsageError(f"--device {asked}: torch sees no CUDA device here; use --device cpu")
    if asked in ("auto", "cuda"):
        return tuple(f"cuda:{index}" for index in range(found))
    chosen = tuple(dict.fromkeys(asked.split(",")))
    if any(int(one.partition(":")[2]) >= found for one in chosen):
        raise UsageError(f"--device {asked}: there are {found} CUDA devices, counted from cuda:0")
    return chosen
