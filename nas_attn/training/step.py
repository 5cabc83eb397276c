"""One optimiser step on tensors that never move: called again and again, or captured once as a CUDA graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.training.batches import BatchPlan, tint
from nas_attn.training.crop_loader import crop_loader
from nas_attn.training.flat import FlatParameters
from nas_attn.training.gradients import add_gradients
from nas_attn.training.images import DeviceImages
from nas_attn.training.module_hooks import ModuleHooks
from nas_attn.training.optimiser import build_optimiser, learning_rates
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe


class TrainingStep:
    """The next step of a run: its batch, forward, loss, backward, clipping, AdamW, schedule.

    Which step is the next stands in a tensor on the device, and with it the batch and the learning rate are
    looked up there: no call depends on anything that Python knows, so that a CUDA graph of one call is every
    call.

    Args:
        module: initialised, on the device; its parameters move into flat buffers.
        images: the training set.
        plan: the batches of the run, on the CPU.
        size: side of the crops in pixels.
        steps: of the run.
        seed: of the run; only modules that draw random numbers look at it.
        recipe: how to train.
        precision: number format and memory layout.
        capturable: the step will be captured as a CUDA graph.
        parts: how many parts of a batch follow one another, which saves memory.
    """

    def __init__(
        self,
        module: nn.Module,
        images: DeviceImages,
        plan: BatchPlan,
        *,
        size: int,
        steps: int,
        seed: int = 0,
        recipe: Recipe,
        precision: Precision,
        capturable: bool = False,
        parts: int = 1,
    ) -> None:
        device = images.device
        self.losses = torch.zeros(steps, device=device)
        self._module, self._images, self._recipe, self._precision = module, images, recipe, precision
        self._parts = parts
        self._loader = crop_loader(images, plan, size)
        self._hooks = ModuleHooks(module, steps, seed)
        self._draws = plan.draws.to(device)
        self._parameters = FlatParameters.of(module)
        self._next = torch.zeros(1, dtype=torch.long, device=device)
        self._rates = learning_rates(recipe, steps).to(device)
        self._rate = torch.zeros((), device=device)
        self._optimiser = build_optimiser(
            self._parameters.kernels, self._parameters.others, recipe, rate=self._rate, capturable=capturable
        )

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
        )
        nn.utils.clip_grad_norm_(self._parameters.both, self._recipe.clip_norm)
        self._rate.copy_(self._rates.index_select(0, self._next)[0])
        self._optimiser.step()
        self.losses.index_copy_(0, self._next, loss.view(1))
        self._next.add_(1)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes, by reference; the optimiser's moments, which the first step makes,
        come last and begin as 0."""
        weights = [flat.detach() for flat in self._parameters.both]
        moments = [tensor for state in self._optimiser.state.values() for tensor in state.values()]
        return [*weights, *self._module.buffers(), self._next, self.losses, *moments]

    def prepare(self, step: int) -> None:
        """Called before each step with its number, outside of any CUDA graph."""
        self._loader.prepare(step)

    def inputs_and_masks(self) -> tuple[Tensor, Tensor]:
        """The batch of the next step, normalised and tinted, and its masks."""
        pixels, masks = self._loader(self._next)
        draws = self._draws.index_select(0, self._next)[0]
        return self._precision.arrange(tint(self._images.normalise(pixels), draws, self._recipe)), masks

    def skip(self) -> None:
        """Go on to the batch after the next without a step."""
        self._next.add_(1)

    def rewind(self) -> None:
        """The next step is the first again."""
        self._next.zero_()
