"""Adapt a network of others: it takes images of any size and returns one score for each class and pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import NetworkError
from nas_attn.models.insertion.insert import Place, insert_modules


class AdaptedNetwork(nn.Module):
    """Pads an image to a size that the network accepts, calls the network, and crops its scores.

    The network itself is ``network``; its attention becomes a part of it, under names of its own.

    Args:
        network: maps (N, C, H, W) to class scores (N, K, h, w), or to something that contains them.
        classes: K.
        divisor: both sides of an image are padded to multiples of it by repeating the border.
        output: name or number of the item with the scores in what the network returns; empty for the whole, or
            else the first item.
        attention: maps a location, such as ``skip.3``, to a module, to the place in the network whose feature it
            refines, and to the place of its gating signal; the last is empty if it takes none.
        trained: prefixes, within the network, of the names of parameters with pretrained weights.
    Shape: (N, C, H, W) -> logits (N, K, H, W).
    """

    draws_globally = True
    """Its code may have dropout, which uses torch's global random stream."""

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        divisor: int,
        output: str = "",
        attention: Mapping[str, tuple[nn.Module, str, str]] | None = None,
        trained: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self.divisor = divisor
        self.output = output
        self.trained = trained
        if attention:
            insert_modules(network, {at: (one[0], Place.parse(*one[1:])) for at, one in attention.items()})

    def trained_part(self) -> list[nn.Parameter]:
        """Parameters with pretrained weights, which learn more slowly than the others."""
        named = self.network.named_parameters()
        return [parameter for name, parameter in named if self.trained and name.startswith(self.trained)]

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        below, right = -height % self.divisor, -width % self.divisor
        if below or right:
            images = functional.pad(images, (0, right, 0, below), mode="replicate")
        scores = self.scores(images)
        return scores[..., :height, :width] if below or right else scores

    def scores(self, images: Tensor) -> Tensor:
        """Class scores of images whose sides are multiples of the divisor, at their size."""
        scores = two_scores(scores_of(self.network(images), self.output), self.classes)
        if scores.shape[-2:] != images.shape[-2:]:
            scores = functional.interpolate(scores, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return scores


def scores_of(given: Any, output: str) -> Tensor:
    """The class scores in what a network returns.

    Args:
        given: a tensor, or a mapping or sequence that contains it.
        output: its name or number; empty for the whole, or else ``out`` of a mapping or the first item of a
            sequence.
    Raises:
        NetworkError: they are not there.
    """
    found = given
    if isinstance(given, Mapping):
        name = output or ("out" if "out" in given else next(iter(given), ""))
        if name not in given:
            raise NetworkError(
                f"the network gives {', '.join(map(str, given))} and no '{output}'; set output to one"
            )
        found = given[name]
    elif isinstance(given, Sequence):
        if output and not (output.isdecimal() and int(output) < len(given)):
            raise NetworkError(
                f"the network gives {len(given)} things; output: {output} must be one of their numbers"
            )
        found = given[int(output or 0)]
    elif output and hasattr(given, output):
        found = getattr(given, output)
    if not isinstance(found, Tensor):
        raise NetworkError(
            f"the network gives {type(found).__name__} where class scores were expected; set output to the name "
            "or number of what holds them"
        )
    return found


def two_scores(scores: Tensor, classes: int) -> Tensor:
    """Scores of two classes if a network returns one: its sigmoid is then the softmax over 0 and the score."""
    if scores.shape[1] == 1 and classes == 2:
        return torch.cat([torch.zeros_like(scores), scores], 1)
    return scores
