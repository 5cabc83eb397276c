"""Weights as safetensors: tensors and text only, so that opening a file runs no code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nas_attn.commands import command
from nas_attn.errors import ExportError
from nas_attn.training.full.run_folder import run_file

FORMAT = "nas-attn weights 1"
"""The only key of the file's metadata: safetensors writes several keys in no fixed order."""


@dataclass(frozen=True)
class WeightsInfo:
    """The facts that are needed to use weights, kept in their file.

    Args:
        architecture: id of the architecture that they belong to.
        placement: the placement in words, for error messages.
        classes: names in the order of their indices.
        mean: of each channel, in pixel units, with which the images were normalised.
        std: likewise.
        bits: of a channel of the training images, 8 or 16.
        longest_side: to which larger images were shrunk; None if they were not.
        data: fingerprint of the data set.
        seed: of the training.
        epoch: after which these weights were kept, from 1.
        val_iou: mean IoU on the validation set.
        version: of nas-attn.
        multi_label: whether the classes may overlap.
    """

    architecture: str
    placement: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int
    longest_side: int | None
    data: str
    seed: int
    epoch: int
    val_iou: float
    version: str
    multi_label: bool = False


def bits_of(pixels: Tensor) -> int:
    """Bits of a channel: 8 or 16."""
    return 8 if pixels.dtype == torch.uint8 else 16


def write_weights(path: Path, module: nn.Module, info: WeightsInfo) -> None:
    """Write a module's weights; if the process is killed, the file is the complete new one or the old one.

    Raises:
        TrainingError: it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
    metadata = {FORMAT: json.dumps(asdict(info))}
    with run_file(path) as part:
        save_file(tensors, part, metadata=metadata)


def read_info(path: Path) -> WeightsInfo:
    """The description in a weights file.

    Raises:
        ExportError: it is not a weights file of nas-attn.
    """
    return _read(path)[0]


def load_weights(path: Path, module: nn.Module, architecture: str) -> WeightsInfo:
    """Load weights into a module.

    Args:
        path: written by ``write_weights``.
        module: of the architecture; filled in place.
        architecture: its id.
    Raises:
        ExportError: the file is not a weights file, or belongs to another architecture.
    """
    info, tensors = _read(path)
    if info.architecture != architecture:
        raise ExportError(
            f"{path}: these weights belong to the architecture {info.architecture} ({info.placement}), not to "
            f"{architecture}; give the architecture.yaml that lies beside them"
        )
    if found := list(_misfits(path, module.state_dict(), tensors)):
        raise ExportError(found)
    module.load_state_dict(tensors)
    return info


def _read(path: Path) -> tuple[WeightsInfo, dict[str, Tensor]]:
    _refuse_what_is_no_file(path)
    _refuse_what_is_no_safetensors(path)
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            if FORMAT not in metadata:
                raise ExportError(
                    f"{path}: safetensors, but without the entry '{FORMAT}' that '{command('train')}' writes; "
                    "give a weights.safetensors of a run"
                )
            return _info(path, metadata[FORMAT]), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise ExportError(
            f"{path}: damaged or no safetensors file ({error}); train again, or give another copy"
        ) from None


def _refuse_what_is_no_file(path: Path) -> None:
    """Reading a pipe would block; reading a device might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ExportError(f"{path}: is not a regular file; give a weights.safetensors of a run")


def _refuse_what_is_no_safetensors(path: Path) -> None:
    try:
        with path.open("rb") as opened:
            head = opened.read(16)
    except OSError as error:
        raise ExportError(
            f"{path}: cannot be read ({error.strerror}); give a weights.safetensors of a run"
        ) from None
    # PyTorch's files are zip archives with a pickle in them, or (before 1.6) bare pickles.
    if head.startswith(b"PK") or (head.startswith(b"\x80") and head[8:9] != b"{"):
        raise ExportError(
            f"{path}: a pickle (such as a PyTorch or Lightning checkpoint), which can run code when it is opened; "
            "give the weights.safetensors of the run"
        )


def _info(path: Path, text: str) -> WeightsInfo:
    try:
        values = json.loads(text)
        for name in ("classes", "mean", "std"):
            values[name] = tuple(values[name])
        info = WeightsInfo(**values)
        problem = _info_problem(info)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        problem = str(error)
    if problem is not None:
        raise ExportError(f"{path}: its description is damaged ({problem}); train again, or give another copy")
    return info


def _info_problem(info: WeightsInfo) -> str | None:
    """The reason why a description cannot be used for prediction; None if it can."""
    if not isinstance(info.multi_label, bool):
        return "multi_label must be true or false"
    if not all(isinstance(name, str) for name in info.classes):
        return "classes must be names"
    if len(info.mean) != len(info.std) or not all(map(math.isfinite, (*info.mean, *info.std))):
        return "mean and std must be finite numbers, one for each channel"
    if not all(value > 0 for value in info.std):
        return "std must be above 0"
    if info.bits not in (8, 16):
        return "bits must be 8 or 16"
    if info.longest_side is not None and not (isinstance(info.longest_side, int) and info.longest_side > 0):
        return "longest_side must be a whole number above 0, or null"
    return None


def _misfits(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Iterator[str]:
    if missing := sorted(wanted.keys() - found.keys()):
        yield f"{path}: {len(missing)} tensors of the architecture are missing, first '{missing[0]}'"
    if surplus := sorted(found.keys() - wanted.keys()):
        yield f"{path}: {len(surplus)} tensors do not belong to the architecture, first '{surplus[0]}'"
    for name in sorted(wanted.keys() & found.keys()):
        if wanted[name].shape != found[name].shape:
            yield f"{path}: {name} has the shape {tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
        elif not found[name].isfinite().all():
            yield f"{path}: {name} holds values that are not finite, so nothing can be predicted; train again"
