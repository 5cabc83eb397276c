"""Pretrained weights of a library or a file: fitted to a network and stored for all runs of a search."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import pickle
import socket
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import IMAGENET, NO_WEIGHTS, AskedNetwork
from nas_attn.models.families import FAMILIES
from nas_attn.models.families._call import build_fresh, drawn
from nas_attn.whole_file import whole_file

_LEAST_SHARE = 0.5
"""Share of a network's tensors that a file must have; otherwise its weights belong to another network."""
_NESTED = ("state_dict", "model_state_dict", "network_weights", "model", "net", "weights")
"""Keys under which checkpoints store the weights."""
_HUB = ("huggingface.co", 443)
_HUB_SECONDS = 3.0


@dataclass(frozen=True)
class FittedWeights:
    """Weights of a file under a network's own names.

    Args:
        tensors: those that fit.
        missing: names of the network's tensors that the file lacks, or has in another shape.
        unused: names in the file that the network lacks.
        adapted: the convolution whose input channels were adapted to the images; empty if none was.
    """

    tensors: Mapping[str, Tensor]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    adapted: str = ""

    def __str__(self) -> str:
        found = f"{len(self.tensors)} of {len(self.tensors) + len(self.missing)} tensors of the network fit"
        adapted = f"; {self.adapted} is adapted to the images' channels" if self.adapted else ""
        missing = f"; initialised: {_some(self.missing)}" if self.missing else ""
        unused = f"; not used: {_some(self.unused)}" if self.unused else ""
        return f"{found}{adapted}{missing}{unused}"


def asked_weights(asked: AskedNetwork, network: nn.Module, in_channels: int, classes: int) -> FittedWeights | None:
    """The pretrained weights that were asked for; None if the network starts without.

    Args:
        asked: the network and its weights.
        network: that network.
        in_channels: channels of an image.
        classes: K.
    Raises:
        NetworkError: they do not exist, cannot be read, or belong to another network.
    """
    if asked.weights == NO_WEIGHTS:
        return None
    if asked.weights == IMAGENET:
        return FittedWeights(_of_the_hub(asked, in_channels, classes), (), ())
    path = Path(asked.weights).expanduser()
    return fit_weights(network, read_tensors(path), str(path))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file: safetensors, or a file of torch.save that contains weights only.

    Raises:
        NetworkError: it cannot be read, or has no named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise NetworkError(f"{path}: there is no such file of weights") from None
    except pickle.UnpicklingError as error:
        raise NetworkError(
            f"{path}: holds more than weights and is not loaded, because it could run code; save "
            "model.state_dict() alone, preferably with safetensors.torch.save_file"
        ) from error
    except Exception as error:  # of a damaged file anything may come
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NetworkError(f"{path}: cannot be read as weights: {reason}") from error
    found = _tensors(kept)
    if not found:
        raise NetworkError(f"{path}: holds no weights by name; save model.state_dict()")
    return found


def fit_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> FittedWeights:
    """The tensors of a file that belong to a network, under the network's names.

    Names may have a prefix on either side, from wrappers (``model.``, ``module.``) or encoders.

    Args:
        network: with the names and shapes that count.
        tensors: of the file.
        source: name of the file in error messages.
    Raises:
        NetworkError: it has less than half of the network's tensors.
    """
    own = network.state_dict()
    named, unused = _renamed(own, tensors)
    adapted = _adapted(own, named)
    fitting = {name: one for name, one in (named | adapted).items() if one.shape == own[name].shape}
    missing = tuple(name for name in own if name not in fitting)
    fitted = FittedWeights(fitting, missing, tuple(unused), next(iter(adapted), ""))
    if len(fitting) < _LEAST_SHARE * len(own):
        raise NetworkError(
            f"{source}: these are the weights of another network: {fitted}; give those of this one, or none"
        )
    return fitted


def keep_weights(tensors: Mapping[str, Tensor]) -> str:
    """Store weights where every run on this machine finds them, and return their SHA-256, which is their name."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    apart = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        written = Path(scratch) / "weights.safetensors"
        save_file(apart, written)
        digest = _digest(written)
        if not weights_file(digest).exists():
            with whole_file(weights_file(digest)) as part:
                part.write_bytes(written.read_bytes())
    return digest


def weights_file(digest: str) -> Path:
    """The file of stored weights.

    Args:
        digest: their SHA-256.
    """
    return _folder() / f"{digest[:32]}.safetensors"


def load_kept(network: nn.Module, digest: str, asked: str) -> None:
    """Load stored weights into a network. Parameters without a stored value stay as they are.

    Args:
        network: to change.
        digest: SHA-256 of the weights.
        asked: where they came from, in words.
    Raises:
        NetworkError: they are not on this machine, or are damaged.
    """
    path = weights_file(digest)
    if not path.is_file() or _known_digest(path, path.stat().st_mtime_ns) != digest:
        raise NetworkError(
            f"{path}: the weights that this network starts from ({asked}) are missing or damaged; run the search "
            "again, which fetches them again"
        )
    network.load_state_dict(load_file(path), strict=False)


def _of_the_hub(asked: AskedNetwork, in_channels: int, classes: int) -> dict[str, Tensor]:
    """The library's own weights, from its cache or, with a connection, downloaded."""
    plan = FAMILIES[asked.family].plan_pretrained
    if plan is None:
        raise NetworkError(
            f"weights: {asked.family} has no weights of its own; give a file, such as trained.safetensors, or none"
        )
    try:
        with _offline():
            pretrained = drawn(plan(asked, in_channels, classes), seed=0)
    except NetworkError as error:
        if not _is_connected():
            raise NetworkError(
                f"{asked}: weights: imagenet: they are not in this machine's cache, and there is no connection "
                f"to {_HUB[0]}; give a file of weights, or none"
            ) from error
        pretrained = drawn(plan(asked, in_channels, classes), seed=0)
    state = pretrained.state_dict()
    other = build_fresh(asked, in_channels, classes, seed=0).state_dict()
    # Only what the library brings: what it draws is the run's to draw.
    return {name: one for name, one in state.items() if name not in other or not torch.equal(one, other[name])}


@contextmanager
def _offline() -> Iterator[None]:
    """A context in which Hugging Face's hub only uses its cache."""
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _is_connected() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    try:
        with socket.create_connection(_HUB, timeout=_HUB_SECONDS):
            return True
    except OSError:
        return False


@functools.lru_cache(maxsize=64)
def _known_digest(path: Path, changed: int) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder() -> Path:
    """A folder in the user's cache or, for a user without a home, in the folder for temporary files."""
    try:
        return Path.home() / ".cache" / "nas-attn" / "weights"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "nas-attn-weights"


def _tensors(kept: Any) -> dict[str, Tensor]:
    if not isinstance(kept, Mapping):
        return {}
    found = {str(name): value for name, value in kept.items() if isinstance(value, Tensor)}
    if found:
        return found
    for name in _NESTED:
        if found := _tensors(kept.get(name)):
            return found
    return {}


def _renamed(own: Iterable[str], tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the network's names, and the names of those that do not belong to it.

    The prefixes on either side are found by counting: they are the most frequent difference between names with the
    same ending.
    """
    names = set(own)
    by_end: dict[str, list[str]] = {}
    for name in names:
        by_end.setdefault(name.rpartition(".")[2], []).append(name)
    votes: Counter[tuple[str, str]] = Counter()
    for name in list(tensors)[:400]:
        for candidate in by_end.get(name.rpartition(".")[2], ()):
            if name.endswith(f".{candidate}") or name == candidate:
                votes[name.removesuffix(candidate), ""] += 1
            elif candidate.endswith(f".{name}"):
                votes["", candidate.removesuffix(name)] += 1
    (before, added), _ = max(
        votes.items(), key=lambda vote: (vote[1], -len("".join(vote[0]))), default=(("", ""), 0)
    )
    named, unused = {}, []
    for name, tensor in tensors.items():
        mine = added + name.removeprefix(before)
        if name.startswith(before) and mine in names:
            named[mine] = tensor
        else:
            unused.append(name)
    return named, unused


def _adapted(own: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first convolution for images with other channels (as timm's ``adapt_input_conv``): summed for one
    channel, repeated and scaled for more."""
    for name, tensor in named.items():
        shape = own[name].shape
        if tensor.ndim == 4 and tensor.shape != shape:
            others = tensor.shape[0] == shape[0] and tensor.shape[2:] == shape[2:] and tensor.shape[1] == 3
            if not others:
                return {}
            if shape[1] == 1:
                return {name: tensor.sum(1, keepdim=True)}
            repeated = tensor.repeat(1, math.ceil(shape[1] / 3), 1, 1)[:, : shape[1]]
            return {name: repeated * (3 / shape[1])}
    return {}


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
