"""Hooks by which modules of a network take part in the training: to follow the steps, or to add a loss.

Training knows nothing else about a network's modules. A module takes part by having one of these methods; none of
them is called in evaluation. Both consist of tensor operations, so that a step stays one CUDA graph.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas_attn.training.generator import keyed_seed
from nas_attn.training.loss import Loss, image_scores, segmentation_loss
from nas_attn.training.overlap import planes


@runtime_checkable
class FollowsSteps(Protocol):
    """A module that changes with the steps (a temperature) or draws random numbers in each of them (noise)."""

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        """Called before the forward pass of each step.

        Args:
            step: its number from 0, on the device; (1,).
            steps: of the whole training.
            key: made of the seed and the module's name; random numbers depend only on the key and the step.
        """


@runtime_checkable
class AuxiliaryLoss(Protocol):
    """A module that adds a term to the loss, from values that it kept in the forward pass."""

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        """The term, a scalar.

        Args:
            masks: class indices, (N, H, W); or, if classes may overlap, 0 and 1 for each class, (N, K, H, W). 255
                is ignored.
            scores: how well each image was segmented, from 0 to 1, without a gradient; (N,).
        """


@runtime_checkable
class DrawsGlobally(Protocol):
    """A network that may draw random numbers from torch's global generator, as dropout does."""

    draws_globally: bool


class ModuleHooks:
    """Calls the modules of a network that follow the steps or add an auxiliary loss.

    Args:
        module: the network.
        steps: of the whole training.
        seed: of the run.
        loss: of a batch.
        multi_label: whether masks are sets of classes that may overlap.
    """

    def __init__(
        self,
        module: nn.Module,
        steps: int,
        seed: int,
        loss: Loss = segmentation_loss,
        *,
        multi_label: bool = False,
    ) -> None:
        named = list(module.named_modules())
        self._steps, self._judged, self._multi_label = steps, loss, multi_label
        self._followers = [
            (child, keyed_seed("module", seed, name)) for name, child in named if isinstance(child, FollowsSteps)
        ]
        self._with_loss = [child for _, child in named if isinstance(child, AuxiliaryLoss)]

    @torch.no_grad()
    def begin_step(self, step: Tensor) -> None:
        """Tell all modules that follow the steps the number of the next step; (1,)."""
        for follower, key in self._followers:
            follower.begin_step(step, self._steps, key)

    def loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The segmentation loss plus the terms of the modules.

        Shape: (N, K, H, W), (N, H, W) -> ().
        """
        loss = self._judged(logits, masks)
        if self._with_loss:
            masks = planes(masks, logits.shape[1]) if self._multi_label else masks
            scores = image_scores(logits.detach(), masks)
            for child in self._with_loss:
                loss = loss + child.own_loss(masks, scores)
        return loss
