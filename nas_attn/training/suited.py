"""How images are normalised, and how a network is trained, that begins with weights of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.training.recipe import Recipe

if TYPE_CHECKING:
    from nas_attn.data import Dataset

_FROM_SCRATCH = Recipe(peak_learning_rate=4e-3, muon_factor=5.0)
_FROM_WEIGHTS = replace(_FROM_SCRATCH, encoder_share=0.1)


def statistics_for(network: Network, dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel with which images are normalised, in pixel units: those of the
    data, or those that the network's weights want.

    Args:
        network: whose weights may want their own.
        dataset: the data.
    """
    wanted = network.normalisation if isinstance(network, DescribedNetwork) else None
    if wanted is None:
        return dataset.mean, dataset.std
    white = 255.0 if dataset.train.image(0).dtype == torch.uint8 else 65535.0
    return tuple(white * one for one in wanted.mean), tuple(white * one for one in wanted.std)


def recipe_for(network: Network) -> Recipe:
    """The recipe of a network's runs, the same for all of its placements.

    Networks of other libraries are deeper and wider than nas-attn's own: what AdamW trains in them takes a lower
    learning rate, what Muon trains the same. An encoder with trained weights learns by AdamW, at a tenth of its
    rate.
    """
    if not isinstance(network, DescribedNetwork):
        return Recipe()
    return _FROM_WEIGHTS if network.weights else _FROM_SCRATCH
