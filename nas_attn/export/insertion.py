"""Insert the attention of an architecture into a user's own network, and remove it."""

from __future__ import annotations

import torch
from torch import nn

from nas_attn.errors import ExportError, NetworkError
from nas_attn.export.subject import Subject
from nas_attn.models.build import placed_modules
from nas_attn.models.catalogue import KINDS
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import check_places
from nas_attn.models.insertion import CONTAINER, Place, insert_modules, remove_modules
from nas_attn.training import initialise

_WRAPPED = "network."
"""Prefix of the names of a network's parameters in a search and in the weights of a run."""


def insert_architecture(model: nn.Module, subject: Subject, seed: int) -> nn.Module:
    """Insert attention, initialise its weights, and load those of a run if there are any.

    Args:
        model: the network, which is changed.
        subject: with the attention.
        seed: of the attention's weights.
    Raises:
        ExportError: the architecture's network is nas-attn's own.
        NetworkError: the model lacks a location, or already has attention of nas-attn.
    """
    network = subject.architecture.network
    if not isinstance(network, DescribedNetwork):
        raise ExportError(
            "this architecture was found in nas-attn's own U-Net, and your network may not have the same "
            "locations; search in yours: nas_attn.search(network=...)"
        )
    placement = subject.architecture.placement
    check_places(
        model, network, [location for location, spec in placement.attended if KINDS[spec.kind].kind.replaces]
    )
    modules = placed_modules(network, placement)
    insert_modules(model, {at: (one[0], Place.parse(*one[1:])) for at, one in modules.items()})
    holder = nn.ModuleDict({"network": model})
    initialise(holder, seed, prefix=f"{_WRAPPED}{CONTAINER}.")
    parameter = next((one for name, one in model.named_parameters() if not name.startswith(CONTAINER)), None)
    if parameter is not None:
        getattr(model, CONTAINER).to(parameter.device, parameter.dtype)
    if subject.weights is not None:
        _load(model, subject)
    return model


def remove_attention(model: nn.Module) -> nn.Module:
    """Remove all attention of nas-attn.

    Raises:
        NetworkError: there is none.
    """
    if not remove_modules(model):
        raise NetworkError("this network has no attention of nas-attn; nas_attn.insert(model, ...) inserts it")
    return model


def _load(model: nn.Module, subject: Subject) -> None:
    trained = subject.network().state_dict()
    state = {name.removeprefix(_WRAPPED): tensor for name, tensor in trained.items()}
    with torch.no_grad():
        model.load_state_dict(state)
