"""One optimiser step on tensors that keep their addresses, so it can be called repeatedly or captured as a CUDA
graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.losses import MUON
from nas_attn.training.batches import BatchPlan, crop_loader, tint
from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.flat import FlatParameters
from nas_attn.training.generator import keyed_seed
from nas_attn.training.gradients import add_gradients, clip_gradients
from nas_attn.training.images import DeviceImages
from nas_attn.training.loss import loss_of
from nas_attn.training.module_hooks import DrawsGlobally, ModuleHooks
from nas_attn.training.optimiser import FlatOptimisers, learning_rates
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe


class TrainingStep:
    """The next step of a run: batch, forward, loss, backward, clipping, optimisers, schedule.

    A tensor on the device holds the number of the next step. Batch and learning rate are looked up there by this
    number, so no call depends on Python state, and a CUDA graph of one call serves for all. A search calls it
    directly, Lightning's Trainer through ``SegmentationModule``.

    Args:
        module: initialised, on the device; its parameters move into flat buffers.
        images: the training set.
        budget: number and size of the batches.
        seed: of the order, the crops and modules that draw random numbers.
        recipe: how to train.
        precision: number format and memory layout.
        capturable: whether the step will be captured as a CUDA graph.
        parts: number of parts into which a batch is split to save memory.
        rank: number of this process among those that share each batch.
        world_size: number of these processes.
        backward: adds the gradient of a loss, averaged over the processes.
    """

    def __init__(
        self,
        module: nn.Module,
        images: DeviceImages,
        budget: Budget,
        seed: int,
        *,
        recipe: Recipe,
        precision: Precision,
        capturable: bool = False,
        parts: int = 1,
        rank: int = 0,
        world_size: int = 1,
        backward: Callable[[Tensor], object] = Tensor.backward,
    ) -> None:
        device, steps = images.device, budget.steps
        plan = BatchPlan.of(
            images,
            steps + recipe.n_recalibration_batches(steps),
            budget,
            seed,
            rank,
            world_size,
            foreground=recipe.foreground,
        )
        loss = loss_of(recipe, device)
        self.losses = torch.zeros(steps, device=device)
        self._module, self._images, self._recipe, self._precision = module, images, recipe, precision
        self._parts, self._backward = parts, backward
        self._loader = crop_loader(images, plan, budget.image_size)
        self._hooks = ModuleHooks(module, steps, seed, loss, multi_label=recipe.multi_label)
        self._draws = plan.draws.to(device)
        self._parameters = FlatParameters.of(module, muon=recipe.optimiser == MUON)
        self._next = torch.zeros(1, dtype=torch.long, device=device)
        rates = learning_rates(recipe, steps)
        self.learning_rates: list[float] = rates.tolist()
        self._rates = rates.to(device)
        self._optimisers = FlatOptimisers(self._parameters, recipe, capturable=capturable)
        self._key = seed if isinstance(module, DrawsGlobally) else None

    @property
    def optimisers(self) -> list[torch.optim.Optimizer]:
        """Muon if the recipe uses it, and AdamW if any parameters are left for it."""
        return self._optimisers.built

    def __call__(self) -> None:
        """Take the next step. Its loss is then in ``losses``."""
        inputs, masks = self.inputs_and_masks()
        self._parameters.zero_gradients()
        self._hooks.begin_step(self._next)
        loss = add_gradients(
            self._module,
            self._hooks,
            inputs,
            masks,
            self._precision,
            parts=self._parts,
            frames=self._images.frames,
            backward=self._backward,
        )
        clip_gradients(self._parameters.buffers, self._recipe.clip_norm)
        self._optimisers.step(self._rates.index_select(0, self._next))
        self.losses.index_copy_(0, self._next, loss.view(1))
        self._next.add_(1)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes, by reference. The moments of the optimisers, which the first step
        creates, come last and start at 0."""
        weights = [flat.detach() for flat in self._parameters.buffers]
        return [*weights, *self._module.buffers(), self._next, self.losses, *self._optimisers.state()]

    def prepare(self, step: int) -> None:
        """Prepare a step by its number; called before each step, outside of any CUDA graph."""
        self._loader.prepare(step)
        if self._key is not None:  # a step's random numbers must not depend on earlier draws
            torch.manual_seed(keyed_seed("step", self._key, step))

    def inputs_and_masks(self) -> tuple[Tensor, Tensor]:
        """The batch of the next step, normalised and tinted, and its masks."""
        pixels, masks = self._loader(self._next)
        draws = self._draws.index_select(0, self._next)[0]
        return self._precision.arrange(tint(self._images.normalise(pixels), draws, self._recipe)), masks

    def go_to(self, step: int) -> None:
        """Make ``step`` the next step, with its batch, whatever a Trainer has done to gradients and optimisers."""
        self._next.fill_(step)
        self._parameters.bind_gradients()
        self._optimisers.bind_rates()

    def recalibrate(self) -> None:
        """End the run: average BatchNorm statistics over the batches after the last step. The module is then in
        eval mode."""
        with self._precision.autocast(self._images.device):
            recalibrate_batchnorm(self._module, self._further_inputs(), self._module)

    def _further_inputs(self) -> Iterator[Tensor]:
        steps = len(self.losses)
        for number in range(steps, steps + self._recipe.n_recalibration_batches(steps)):
            self.prepare(number)
            self.go_to(number)
            yield self.inputs_and_masks()[0]
