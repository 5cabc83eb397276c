"""Networks of other libraries, trained as a search trains them on a CPU."""

from __future__ import annotations

from dataclasses import replace

from nas_attn.models.asked_network import NO_WEIGHTS, AskedNetwork
from nas_attn.models.discovery import look_at
from nas_attn.training import Precision
from nas_attn.training.evaluation import DataSource, TrainingEvaluator
from nas_attn.training.recipe import recipe_for, statistics_for

_DECODER = [48, 32, 24, 16, 8]
"""Channels of an smp decoder that suits a CPU."""


def evaluator_in(network: str, source: DataSource, weights: str = NO_WEIGHTS) -> TrainingEvaluator:
    """Who trains placements in a network of another library.

    Args:
        network: such as ``smp:Unet/resnet18``; smp's decoders are made narrow.
        source: of the data.
        weights: that the encoder begins with: none, imagenet, or a file.
    """
    data = source.load()
    wanted = replace(AskedNetwork.parse(network), weights=weights)
    if wanted.family == "smp":
        wanted = replace(wanted, arguments={"decoder_channels": _DECODER})
    found = look_at(wanted, data.in_channels, len(data.classes)).network
    return TrainingEvaluator(
        found,
        source,
        recipe=recipe_for(found),
        statistics=statistics_for(found, data),
        precision=Precision.parse("float32+channels_last"),
    )
