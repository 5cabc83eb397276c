"""One run of the fidelity benchmark: from scratch or from trained weights, with an average of its weights."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from nas_attn.budget import Budget
from nas_attn.data import Dataset, read_folder
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.space import SearchSpace, read_space
from nas_attn.training import Precision, Recipe, Segmenter, TrainingStep, initialise, score_images, train_run
from nas_attn.training.evaluation import CostTable, PackedSets, pack_sets

AVERAGED_SHARE = 0.1
"""The average of the weights forgets with this share of a run's steps as its time constant."""
_PRECISION = Precision(channels_last=True)


@dataclass(frozen=True)
class Task:
    """Placements of a space on one data set.

    Args:
        folder: of the images and masks.
        space: name or path.
        base_channels: C of the network at full resolution.
        image_size: side of the crops, in pixels.
        batch_size: crops of a step.
        longest_side: larger images are shrunk to it, in pixels.
        device: such as ``cpu``.
    """

    folder: str
    space: str
    base_channels: int
    image_size: int
    batch_size: int
    longest_side: int
    device: str

    def sized(self, start: str) -> SearchSpace:
        """The space with one start of all attentions: ``paper`` or ``identity``."""
        return read_space(
            self.space,
            catalogue(),
            in_channels=self.data.in_channels,
            classes=len(self.data.classes),
            base_channels=self.base_channels,
            image_size=self.longest_side,
            start=start,
        )

    @cached_property
    def data(self) -> Dataset:
        """The images."""
        return read_folder(Path(self.folder), longest_side=self.longest_side)

    @cached_property
    def sets(self) -> PackedSets:
        """The images on the device."""
        return pack_sets(self.data, torch.device(self.device))

    def placement(self, number: int, start: str) -> Placement:
        """The plain U-Net for 0, then different ones within the limits, the same for both starts."""
        space = self.sized(start)
        return space.plain if number == 0 else next(islice(random_placements(space), number - 1, None))

    def train(
        self, placement: Placement, steps: int, seed: int, warm: Mapping[str, Tensor] | None, rate: float
    ) -> tuple[nn.Module, Trained]:
        """One annealed run.

        Args:
            placement: to train.
            steps: of the run.
            seed: of the run.
            warm: weights that take the place of the start weights of the same name; None leaves these.
            rate: factor of the recipe's learning rate.
        """
        network = self.sized("paper").network
        module: torch.nn.Module = build_unet(network, placement)
        initialise(module, seed)
        if warm is not None:
            module.load_state_dict(warm, strict=False)
        module = _PRECISION.place(module, torch.device(self.device))
        recipe = replace(Recipe(), peak_learning_rate=rate * Recipe.peak_learning_rate)
        budget = Budget(steps, self.image_size, self.batch_size)
        started = time.process_time()
        with _Average(AVERAGED_SHARE * steps) as average:
            train_run(module, self.sets.train, budget, seed, recipe=recipe, precision=_PRECISION, graphs=False)
        seconds = time.process_time() - started
        weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        iou = self._iou(module)
        average.put()
        step = TrainingStep(module, self.sets.train, budget, seed, recipe=recipe, precision=_PRECISION)
        step.recalibrate()
        averaged = self._iou(module)
        module.load_state_dict(weights)
        return module, Trained(iou, averaged, seconds)

    def _iou(self, module: nn.Module) -> float:
        images = self.sets.val
        segmenter = Segmenter(module, images.mean, images.std, precision=_PRECISION)
        return score_images(segmenter, images, self.sized("paper").network.classes).iou


def random_placements(space: SearchSpace) -> Iterator[Placement]:
    """Different ones within the limits of a space, the same in the same order at every call; it does not end."""
    costs, drawn = CostTable(space.network, space.height, space.width), random.Random(0)
    found: set[Placement] = set()
    while True:
        placement = space.sample(drawn)
        if placement not in found and not space.limits.reasons(costs(placement), costs.plain):
            found.add(placement)
            yield placement


@dataclass(frozen=True)
class Trained:
    """What a run has given.

    Args:
        iou: on the validation images.
        averaged_iou: of the averaged weights.
        cpu_seconds: of the training.
    """

    iou: float
    averaged_iou: float
    cpu_seconds: float


class _Average:
    """The exponential average of all weights that the optimisers of its context step through.

    Args:
        memory: time constant, in steps.
    """

    def __init__(self, memory: float) -> None:
        self._share = 1 / max(1.0, memory)
        self._averages: dict[Tensor, Tensor] = {}

    def __enter__(self) -> _Average:
        self._hook = register_optimizer_step_post_hook(self._follow)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def put(self) -> None:
        """The averages take the place of the weights."""
        for weights, average in self._averages.items():
            weights.data.copy_(average)

    def _follow(self, optimiser: torch.optim.Optimizer, *_: object) -> None:
        for weights in (weights for group in optimiser.param_groups for weights in group["params"]):
            now = weights.detach()
            if weights in self._averages:
                self._averages[weights].lerp_(now, self._share)
            else:
                self._averages[weights] = now.clone()
