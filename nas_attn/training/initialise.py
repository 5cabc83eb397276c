"""Starting weights that depend on the seed and the parameter's name only."""

from __future__ import annotations

import torch
from torch import nn

from nas_attn.errors import TrainingError
from nas_attn.models.attention._neutral import draw_anew
from nas_attn.training.generator import keyed_seed


def initialise(module: nn.Module, seed: int, *, prefix: str = "") -> None:
    """Draw every parameter of a module anew, each submodule from a stream of its own.

    The stream is keyed by (seed, qualified name), so a submodule starts from the same weights in every
    network that has it under the same name, whatever else was built before it. That makes the runs of two
    placements with one seed a pair (common random numbers). The global random stream is left as it was.

    What a neutral start has at zero is zero.

    Args:
        module: on the CPU; each submodule that owns parameters must have ``reset_parameters()``.
        seed: of the run.
        prefix: only submodules whose qualified name begins with it are drawn.
    Raises:
        TrainingError: a submodule owns parameters but has no ``reset_parameters``.
    """
    owners = [
        (name, child)
        for name, child in module.named_modules()
        if name.startswith(prefix) and next(child.parameters(recurse=False), None) is not None
    ]
    silent = [
        f"{name or 'the module'} ({type(child).__name__})"
        for name, child in owners
        if not hasattr(child, "reset_parameters")
    ]
    if silent:
        raise TrainingError(f"no reset_parameters() in {', '.join(silent)}; its start cannot be drawn from a seed")
    with torch.random.fork_rng(devices=[]):
        for name, child in owners:
            # The stream of the CPU alone: torch.manual_seed also notes for each GPU where it was called from.
            torch.default_generator.manual_seed(keyed_seed("initialise", seed, name))
            draw_anew(child)
