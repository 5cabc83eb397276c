"""Networks of segmentation_models.pytorch: ``smp:Unet/resnet34``."""

from __future__ import annotations

import difflib
from types import ModuleType

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import IMAGENET, AskedNetwork
from nas_attn.models.families import Builder, network_family
from nas_attn.models.families._call import known, library

ENCODER = "resnet34"
"""The default encoder, as in smp itself."""
ARCHITECTURES = (
    "Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus", "UPerNet",
    "Segformer", "DPT",
)  # fmt: skip


def plan_pretrained(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan a network with ImageNet weights in the encoder, whose first convolution is adapted to the channels by
    smp."""
    return _planned(asked, in_channels, classes, IMAGENET)


@network_family("smp", pretrained=plan_pretrained)
def plan_smp(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan ``ARCHITECTURE/ENCODER``, such as ``Unet/resnet34`` or ``FPN/tu-mobilenetv3_small_100``.

    Raises:
        NetworkError: smp is not installed, or has no such architecture or encoder.
    """
    return _planned(asked, in_channels, classes, None)


def _planned(asked: AskedNetwork, in_channels: int, classes: int, weights: str | None) -> Builder:
    smp = library("segmentation_models_pytorch", "smp")
    architecture, _, encoder = asked.build.partition("/")
    name = known(architecture, [one for one in ARCHITECTURES if hasattr(smp, one)], "segmentation_models.pytorch")
    encoder = encoder or ENCODER
    _check_encoder(smp, encoder)
    arguments = {
        "encoder_name": encoder,
        "encoder_weights": weights,
        "in_channels": in_channels,
        "classes": classes,
        **asked.arguments,
    }
    return Builder(str(asked), getattr(smp, name), f"segmentation_models_pytorch.{name}", arguments)


def _check_encoder(smp: ModuleType, encoder: str) -> None:
    names = smp.encoders.get_encoder_names()
    if encoder in names:
        return
    if encoder.startswith("tu-"):
        timm = library("timm", "smp")
        names = [f"tu-{name}" for name in timm.list_models()]
        if encoder in names or timm.is_model(encoder.removeprefix("tu-")):
            return
    near = difflib.get_close_matches(encoder, names, n=1, cutoff=0.5)
    mend = f"did you mean '{near[0]}'?" if near else "smp.encoders.get_encoder_names() lists them"
    raise NetworkError(f"segmentation_models.pytorch has no encoder '{encoder}'; {mend} (timm's begin with tu-)")
