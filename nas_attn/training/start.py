"""The network that a run begins with."""

from __future__ import annotations

from torch import nn

from nas_attn.models.adapted import AdaptedNetwork
from nas_attn.models.asked_network import ALL, ATTENTION_AND_HEAD
from nas_attn.models.build import attention_prefix, build_network
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.discovery import load_kept
from nas_attn.models.placement import Placement
from nas_attn.models.unet import UNet
from nas_attn.training.generator import keyed_seed
from nas_attn.training.initialise import initialise


def fresh_network(network: Network, placement: Placement, seed: int) -> UNet | AdaptedNetwork:
    """The network with its attention and the weights of step 0.

    In our U-Net every weight is drawn from (seed, name). In a network of somebody else's its own code draws what
    has no trained weights, from the seed; attention is drawn by name here, too. So the runs of two placements with
    one seed are a pair.

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
    """Let only those parts learn that shall."""
    if network.asked.train == ALL:
        return
    learning = (attention_prefix(module), *_learning(module, network))
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith(learning))


def _learning(module: nn.Module, network: DescribedNetwork) -> tuple[str, ...]:
    """Beginnings of the names of what learns besides attention: the head, or all that is not the encoder."""
    names = [name for name, _ in module.named_parameters() if not name.startswith(attention_prefix(module))]
    if network.asked.train == ATTENTION_AND_HEAD:
        head = names[-1].rpartition(".")[0]
        return (f"{head}.",)
    return tuple(name for name in names if not name.removeprefix("network.").startswith(network.encoder))
