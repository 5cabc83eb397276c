"""One optimiser step on tensors that never move: called again and again, or captured once as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.optimisers import MUON
from nas_attn.training.batches import BatchPlan, tint
from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.crop_loader import crop_loader
from nas_attn.training.flat import FlatParameters
from nas_attn.training.generator import keyed_seed
from nas_attn.training.gradients import add_gradients, clip_gradients
from nas_attn.training.images import DeviceImages
from nas_attn.training.loss import loss_of
from nas_attn.training.module_hooks import DrawsGlobally, ModuleHooks
from nas_attn.training.muon import Muon
from nas_attn.training.optimiser import build_optimiser, learning_rates
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe


class TrainingStep:
    """The next step of a run: its batch, forward, loss, backward, clipping, optimisers, schedule.

    Which step is the next stands in a tensor on the device, and with it the batch and the learning rate are
    looked up there: no call depends on anything that Python knows, so that a CUDA graph of one call is every
    call. A search drives it directly, Lightning's Trainer through ``SegmentationModule``.

    Args:
        module: initialised, on the device; its parameters move into flat buffers.
        images: the training set.
        budget: number and size of the batches.
        seed: of the order and the crops, and of modules that draw random numbers.
        recipe: how to train.
        precision: number format and memory layout.
        capturable: the step will be captured as a CUDA graph.
        parts: how many parts of a batch follow one another, which saves memory.
        rank: number of this process, of those that share each batch.
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
        self._rate, self._slow_rate = torch.zeros((), device=device), torch.zeros((), device=device)
        self._key = seed if isinstance(module, DrawsGlobally) else None
        self.optimisers = self._built_optimisers(capturable)

    def __call__(self) -> None:
        """Take the next step; its loss is then in ``losses``."""
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
        self._set_rates()
        for optimiser in self.optimisers:
            optimiser.step()
        self.losses.index_copy_(0, self._next, loss.view(1))
        self._next.add_(1)

    def _built_optimisers(self, capturable: bool) -> list[torch.optim.Optimizer]:
        """AdamW where anything is left for it, and Muon where the recipe has it."""
        flat, recipe = self._parameters, self._recipe
        built: list[torch.optim.Optimizer] = []
        if len(flat.buffers) > len(flat.matrices):
            built.append(
                build_optimiser(
                    flat.kernels,
                    flat.others,
                    recipe,
                    slow=flat.slow,
                    rate=self._rate,
                    slow_rate=self._slow_rate,
                    capturable=capturable,
                )
            )
        if flat.stacks:
            built.append(
                Muon(flat.stacks, lr=self._rate, weight_decay=recipe.weight_decay, momentum=recipe.momentum)
            )
        return built

    def _set_rates(self) -> None:
        self._rate.copy_(self._rates.index_select(0, self._next)[0])
        if any(self._parameters.slow):
            self._slow_rate.copy_(self._rate * self._recipe.encoder_share)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes, by reference; the optimisers' moments, which the first step makes,
        come last and begin as 0."""
        weights = [flat.detach() for flat in self._parameters.buffers]
        states = [state for optimiser in self.optimisers for state in optimiser.state.values()]
        moments = [tensor for state in states for tensor in state.values()]
        return [*weights, *self._module.buffers(), self._next, self.losses, *moments]

    def prepare(self, step: int) -> None:
        """Called before each step with its number, outside of any CUDA graph."""
        self._loader.prepare(step)
        if self._key is not None:  # so that a step draws the same, whatever was drawn before it
            torch.manual_seed(keyed_seed("step", self._key, step))

    def inputs_and_masks(self) -> tuple[Tensor, Tensor]:
        """The batch of the next step, normalised and tinted, and its masks."""
        pixels, masks = self._loader(self._next)
        draws = self._draws.index_select(0, self._next)[0]
        return self._precision.arrange(tint(self._images.normalise(pixels), draws, self._recipe)), masks

    def go_to(self, step: int) -> None:
        """Let a step be the next, with its batch, whatever a Trainer has done to gradients and optimisers."""
        self._next.fill_(step)
        self._parameters.bind_gradients()
        slow = {id(one) for part in self._parameters.slow for one in part}
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            # a loaded state brings a tensor of its own
            group["lr"] = self._slow_rate if id(group["params"][0]) in slow else self._rate

    def recalibrate(self) -> None:
        """End the run: average BatchNorm statistics over the batches after its last step; leaves eval mode."""
        with self._precision.autocast(self._images.device):
            recalibrate_batchnorm(self._module, self._further_inputs(), self._module)

    def _further_inputs(self) -> Iterator[Tensor]:
        steps = len(self.losses)
        for number in range(steps, steps + self._recipe.n_recalibration_batches(steps)):
            self.prepare(number)
            self.go_to(number)
            yield self.inputs_and_masks()[0]
