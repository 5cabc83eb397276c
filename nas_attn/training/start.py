"""The untrained network that a run begins with."""

from __future__ import annotations

import torch
from torch import nn

from nas_attn.errors import TrainingError
from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.asked_network import ALL, ATTENTION_AND_HEAD
from nas_attn.models.attention._neutral import draw_anew
from nas_attn.models.build import attention_prefix, build_network
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.discovery import load_kept
from nas_attn.models.placement import Placement
from nas_attn.models.unet import UNet
from nas_attn.training.generator import keyed_seed


def fresh_network(network: Network, placement: Placement, seed: int) -> UNet | AdaptedNetwork:
    """The network with its attention and the weights of step 0.

    In our U-Net every weight is drawn from (seed, name). A network of another library draws its untrained weights
    by its own code, from the seed; its attention is drawn by name, too. So the runs of two placements with one
    seed are a pair.

    Args:
        network: without its attention.
        placement: one attention for each of its locations.
        seed: of the run.
    """
    module = build_network(network, placement, keyed_seed("network", seed))
    if not isinstance(network, DescribedNetwork) or not isinstance(module, AdaptedNetwork):
        initialise(module, seed)
        return module
    if network.weights:
        load_kept(module.network, network.weights, network.asked.weights)
    initialise(module, seed, prefix=attention_prefix(module))
    _freeze(module, network)
    return module


def _freeze(module: nn.Module, network: DescribedNetwork) -> None:
    """Freeze all parts of a network that are not to be trained."""
    if network.asked.train == ALL:
        return
    learning = (attention_prefix(module), *_learning(module, network))
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith(learning))


def _learning(module: nn.Module, network: DescribedNetwork) -> tuple[str, ...]:
    """Prefixes of the parameters to train besides attention: the head, or everything but the encoder."""
    names = [name for name, _ in module.named_parameters() if not name.startswith(attention_prefix(module))]
    if network.asked.train == ATTENTION_AND_HEAD:
        head = names[-1].rpartition(".")[0]
        return (f"{head}.",)
    return tuple(name for name in names if not name.removeprefix("network.").startswith(network.encoder))


def initialise(module: nn.Module, seed: int, *, prefix: str = "") -> None:
    """Initialise every parameter of a module, each submodule from its own random stream.

    The stream is keyed by (seed, qualified name). So a submodule starts from the same weights in every network
    that has it under the same name, whatever else was built before it. That makes the runs of two placements with
    one seed a pair (common random numbers). The global random stream is left unchanged.

    Parameters that a neutral start sets to zero are zero.

    Args:
        module: on the CPU; each submodule that owns parameters must have ``reset_parameters()``.
        seed: of the run.
        prefix: only submodules whose qualified name starts with it are drawn.
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
            # Seed the CPU alone: torch.manual_seed would also record a stack trace for each GPU.
            torch.default_generator.manual_seed(keyed_seed("initialise", seed, name))
            draw_anew(child)
