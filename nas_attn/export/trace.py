"""Trace a network as a graph that is valid for images of any size or, if that is impossible, of one size."""

from __future__ import annotations

import contextlib
import copy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic
from torch.nn import functional

from nas_attn.errors import ExportError
from nas_attn.export.agreement import Agreement, compare, probes
from nas_attn.export.subject import Subject
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.attention import _attend, tam
from nas_attn.models.attention._kernel_bank import KernelBank
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.unet.layers import TransposeUp
from nas_attn.models.unet.unet import UNet
from nas_attn.training.full.prediction import frames_together
from nas_attn.wording.placements import describe

MAX_DIFFERENCE = 3e-5
"""Maximum difference between logits, as a share of the largest one: the rounding of some hundred layers."""

SMALLEST = (2, 8)
"""Sides of the smallest map at the bottleneck, in pixels, for which a graph is tested. PyTorch specialises maps of
1 pixel, and maps that a module pools into 1 pixel."""

MAX_REASON = 160
"""Maximum letters of a reason."""


@dataclass(frozen=True)
class Attempt:
    """A way to turn a graph into something that can be run.

    Args:
        name: of the way, for error messages.
        make: takes the graph, and whether its H and W are open; returns a function from images to logits.
        fixed_groups: whether the number of groups of a convolution must be known, so that it cannot be the number
            of images.
    """

    name: str
    make: Callable[[ExportedProgram, bool], Callable[[Tensor], Tensor]]
    fixed_groups: bool = False


def graph_of(subject: Subject, path: Path, image_size: int | None, attempt: Attempt) -> str:
    """Turn a network into a graph for images of any size; if that fails or differs, for images of one size.

    It takes any number of images or, if an attention looks at the frames of a clip together, of whole clips.

    Args:
        subject: with the network.
        path: of the file, for error messages.
        image_size: H and W of that one size; None takes that of the search.
        attempt: turns the graph into a file. When this function returns, its last graph was correct.
    Returns:
        in words, which sizes it takes, and how it compares with the network.
    Raises:
        ExportError: neither is possible; with the reasons.
    """
    network, architecture = subject.network(), subject.architecture
    config, side = architecture.network, image_size or architecture.image_size
    least, frames = config.min_image_size, frames_together(architecture)
    taken = f"whole clips of {frames} frames, " if frames > 1 else ""
    multiple = config.divisor if isinstance(config, DescribedNetwork) else 1
    if side < least or (image_size and side % multiple):
        of = f", and multiples of {multiple}" if multiple > 1 else ""
        raise ExportError(f"{path}: --image-size is {side}; {config.title} needs at least {least}{of}")
    side = -(-side // multiple) * multiple
    reason = ""
    for smallest in (factor * least for factor in SMALLEST if factor == SMALLEST[0] or factor * least <= side):
        # Not square, and no power of two: sizes that are equal by chance would be taken for equal always.
        width = -(-5 * smallest // (2 * multiple)) * multiple
        example = torch.zeros(2 * frames, config.in_channels, 3 * smallest, width)
        images = list(probes(config.in_channels, max(side, smallest), smallest, frames, multiple))
        try:
            agreement = _tried(network, attempt, example, images, frames, architecture.multi_label)
            of = f" in multiples of {multiple}" if multiple > 1 else ""
            return f"{taken}any size from {smallest} pixels up{of}: {agreement}"
        except Exception as error:  # PyTorch and the converters raise of all kinds
            reason = _in_one_line(error)
    example = torch.zeros(2 * frames, config.in_channels, side, side)
    one_size = [
        torch.randn(clips * frames, *example.shape[1:], generator=torch.Generator().manual_seed(0))
        for clips in (2, 3)
    ]
    try:
        agreement = _tried(network, attempt, example, one_size, frames, architecture.multi_label)
    except Exception as error:
        raise ExportError(
            f"{path}: {attempt.name} cannot express {describe(architecture.placement)}: {_in_one_line(error)}"
        ) from None
    return f"{taken}images of {side}x{side} only ({reason}): {agreement}"


def _tried(
    network: nn.Module,
    attempt: Attempt,
    example: Tensor,
    images: Sequence[Tensor],
    frames: int,
    multi_label: bool,
) -> Agreement:
    any_size = example.shape[2] != example.shape[3]
    graph = traced(network, example, any_size=any_size, in_clips=frames > 1, fixed_groups=attempt.fixed_groups)
    run = attempt.make(graph, any_size)
    agreement = compare(network, run, images, multi_label=multi_label)
    if not agreement.difference <= MAX_DIFFERENCE * agreement.scale:
        raise ExportError(f"its answers differ: {agreement}")
    return agreement


def _in_one_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}"[:MAX_REASON] if lines else type(error).__name__


class Unpadded(nn.Module):
    """``AdaptedNetwork`` for images whose sides are multiples of the network's divisor.

    A graph fixes by how much an image was padded when it was traced; here none is.

    Shape: (N, C, H, W) -> (N, K, H, W).
    """

    def __init__(self, adapted: AdaptedNetwork) -> None:
        super().__init__()
        self.adapted = adapted

    def forward(self, images: Tensor) -> Tensor:
        return self.adapted.scores(images)


class AnySizeUp(nn.Module):
    """``TransposeUp`` without the test whether the finer map has odd sides.

    A graph only has the branch that was taken when it was traced. Here, an odd last row or column is read by its
    index, as all others are.

    Args:
        up: whose convolution is used.
    Shape: (N, in_channels, H // 2, W // 2), skip (N, any, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, up: TransposeUp) -> None:
        super().__init__()
        self.conv = up.conv

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        fine: Tensor = self.conv(x)
        for dim in (-2, -1):
            indices = torch.arange(skip.shape[dim], device=fine.device).clamp(max=fine.shape[dim] - 1)
            fine = fine.index_select(dim, indices)
        return fine


def traced(
    network: nn.Module, images: Tensor, *, any_size: bool, in_clips: bool = False, fixed_groups: bool = False
) -> ExportedProgram:
    """The graph of a network in eval mode, for any number of images.

    Args:
        network: on the CPU.
        images: an example, (N, C, H, W) with N of at least 2; of at least 2 clips.
        any_size: whether H and W are open too.
        in_clips: whether N is a number of clips, each with the same number of frames.
        fixed_groups: whether no convolution may have one group per image.
    Raises:
        Exception: of many kinds, from PyTorch: the network cannot be traced in this way.
    """
    network = copy.deepcopy(network).eval()
    if isinstance(network, UNet):
        network.up = nn.ModuleList(AnySizeUp(up) if isinstance(up, TransposeUp) else up for up in network.up)
    if isinstance(network, AdaptedNetwork):
        network = Unpadded(network)
    free = {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO} if any_size else {0: Dim.AUTO}
    with _general_forms(any_size, in_clips, fixed_groups), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, of its next versions
        return torch.export.export(network, (images,), dynamic_shapes={"images": free}, strict=False)


@contextmanager
def _general_forms(any_size: bool, in_clips: bool, fixed_groups: bool) -> Iterator[None]:
    """Where an operation has several forms, one for each range of sizes, a graph needs one that does for all."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(tam, "mix_frames", mixed_by_shifts))
        if in_clips and hasattr(symbolic, "backed_size_oblivious"):  # from PyTorch 2.7 on
            # Else a graph traced with 2 clips, N / T of them, refuses a single one.
            patches.enter_context(mock.patch.object(symbolic, "backed_size_oblivious", True))
        if any_size:
            patches.enter_context(mock.patch.object(_attend, "most_plain_positions", any_number_of_positions))
            patches.enter_context(mock.patch.object(functional, "adaptive_avg_pool2d", adaptive_average))
            if (timm := sys.modules.get("timm.layers.padding")) is not None:
                patches.enter_context(mock.patch.object(timm, "get_same_padding", even_padding))
        if fixed_groups:
            patches.enter_context(mock.patch.object(KernelBank, "forward", mixed_afterwards))
        yield


def any_number_of_positions(channels: int) -> int:
    """More positions than fit into any memory, so that attention takes the plain form at every size."""
    return 2**30


def mixed_afterwards(bank: KernelBank, x: Tensor, mix: Tensor, bias: Tensor | None = None) -> Tensor:
    """The result of a bank of kernels, by mixing the maps of its kernels instead of the kernels, so that no image
    is a group.

    Shape: (N, C, H, W), (N, K)[, (N, C)] -> (N, C, H, W).
    """
    kernels = bank.weight.view(-1, bank.channels, 3, 3)
    maps = functional.conv2d(x, kernels, padding=1).view(x.shape[0], -1, *x.shape[1:])
    mixed: Tensor = (mix[:, :, None, None, None] * maps).sum(1)
    return mixed if bias is None else mixed + bias[:, :, None, None]


def mixed_by_shifts(clips: Tensor, kernels: Tensor) -> Tensor:
    """The result of ``mix_frames``, by adding up shifted clips, so that no clip is a group of a convolution.

    Shape: (B, T, C, H, W), (B, C, K) -> (B, T, C, H, W).
    """
    reach, frames = kernels.shape[2] // 2, clips.shape[1]
    padded = functional.pad(clips, (0, 0, 0, 0, 0, 0, reach, reach))
    shares = kernels[:, None, :, :, None, None].unbind(3)
    mixed: Tensor = sum(share * padded[:, place : place + frames] for place, share in enumerate(shares))  # type: ignore[assignment]
    return mixed


def even_padding(length: int, kernel_size: int, stride: int, dilation: int) -> int:
    """The result of timm's ``get_same_padding`` for a length that is a multiple of the stride.

    For an open length, timm's is a formula. The formulas of all layers are nested, and simplifying them takes too
    long. Sides are multiples of the network's divisor, so those of its maps are multiples of the strides. If they
    were not, the graph would differ from the network, with which it is compared.

    Args:
        length: of the map's side; not used.
        kernel_size: of the convolution or pooling.
        stride: of it.
        dilation: of it.
    """
    return max((kernel_size - 1) * dilation + 1 - stride, 0)


def adaptive_average(x: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Adaptive average pooling as two products with matrices of weights, which depend on H and W.

    ONNX has no such pooling, and the converter's replacement only works for one size of map.

    Args:
        x: (N, C, H, W).
        size: side of the result, or its height and width.
    Shape: (N, C, H, W) -> (N, C, height, width).
    """
    height, width = size if isinstance(size, tuple) else (size, size)
    return _cell_weights(x, x.shape[2], height) @ x @ _cell_weights(x, x.shape[3], width).T


def _cell_weights(x: Tensor, length: int, size: int) -> Tensor:
    """Weights of each position in each cell, (size, length); cell i reaches from floor(i L / size), with L the
    length."""
    cell = torch.arange(size, device=x.device)[:, None]
    position = torch.arange(length, device=x.device)
    inside = (position >= cell * length // size) & (position < ((cell + 1) * length + size - 1) // size)
    return inside.to(x.dtype) / inside.sum(1, keepdim=True)
