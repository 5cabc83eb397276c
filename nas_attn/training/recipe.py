"""How every run of a search is trained and its images normalised; equal for all placements of a network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from nas_attn.losses import CE_DICE, MUON, UNSAID
from nas_attn.models.described_network import DescribedNetwork, Network

if TYPE_CHECKING:
    from nas_attn.data import Dataset

PRETRAINED_RATE = 0.25
"""Factor on the peak learning rate of a run that starts from trained weights: the full rate would undo them."""


@dataclass(frozen=True)
class Recipe:
    """Settings of the optimiser and of the augmentation.

    They were tuned once, on the baseline and on SE everywhere, and then frozen. A recipe tuned for one placement
    would favour the placements that it suits.

    Args:
        peak_learning_rate: reached after ``warm_up`` (OneCycle, cosine down to the end).
        optimiser: ``muon`` for kernels larger than 1x1 and AdamW for the rest, or ``adamw`` for everything.
        muon_factor: learning rate of Muon, as a multiple of AdamW's.
        weight_decay: of convolution kernels; norms, biases and scales have none.
        momentum: of Muon, and beta_1 of AdamW; with less than their usual 0.95 and 0.9, short runs end higher.
        warm_up: share of the steps in which the learning rate rises.
        clip_norm: largest L2 norm of the gradient.
        brightness: largest shift of an image, in standard deviations.
        contrast: largest relative change of an image's contrast.
        recalibration_batches: largest number of batches over which BatchNorm statistics are averaged at the end.
        class_prior: let an untrained network predict the frequencies of the classes.
        encoder_share: factor on the learning rate of an encoder that starts with trained weights.
        loss: name of the loss, one of ``LOSSES``.
        class_weights: of each class in the loss, above 0; empty if all classes count alike.
        foreground: share of the crops that are centred on a foreground pixel.
        multi_label: whether classes may overlap, so that each is judged by itself.
    """

    peak_learning_rate: float = 2e-2
    optimiser: str = MUON
    muon_factor: float = 1.0
    weight_decay: float = 1e-2
    momentum: float = 0.85
    warm_up: float = 0.2
    clip_norm: float = 5.0
    brightness: float = 0.1
    contrast: float = 0.1
    recalibration_batches: int = 16
    class_prior: bool = True
    encoder_share: float = 1.0
    loss: str = CE_DICE
    class_weights: tuple[float, ...] = ()
    foreground: float = 0.0
    multi_label: bool = False

    def n_recalibration_batches(self, steps: int) -> int:
        """Batches over which BatchNorm statistics are averaged after a run: no more than its steps."""
        return min(self.recalibration_batches, steps)

    @property
    def after_pretraining(self) -> Recipe:
        """The recipe of a run that starts from trained weights."""
        return replace(self, peak_learning_rate=PRETRAINED_RATE * self.peak_learning_rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without newer settings that have the value of older studies, so that those still match."""
        plain = {**asdict(self), "class_weights": list(self.class_weights)}
        return {name: value for name, value in plain.items() if value != UNSAID.get(name)}


def recipe_for(network: Network) -> Recipe:
    """The recipe of a network's runs, the same for all of its placements.

    Networks of other libraries are deeper and wider than nas-attn's own. AdamW needs a lower learning rate there;
    Muon keeps the same one. An encoder with trained weights is trained by AdamW, at a tenth of its rate.
    """
    if not isinstance(network, DescribedNetwork):
        return Recipe()
    return Recipe(peak_learning_rate=4e-3, muon_factor=5.0, encoder_share=0.1 if network.weights else 1.0)


def statistics_for(network: Network, dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel for normalising images, in pixel units.

    They are the data's, unless the network's pretrained weights require others.

    Args:
        network: its weights may require statistics of their own.
        dataset: the data.
    """
    wanted = network.normalisation if isinstance(network, DescribedNetwork) else None
    if wanted is None:
        return dataset.mean, dataset.std
    white = 255.0 if dataset.train.image(0).dtype == torch.uint8 else 65535.0
    return tuple(white * one for one in wanted.mean), tuple(white * one for one in wanted.std)
