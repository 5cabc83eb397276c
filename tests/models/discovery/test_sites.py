"""Where attention may stand in networks of all kinds, told by hand from their papers and code."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork, AskedSite
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.discovery.describe import locate, on_meta
from nas_attn.models.discovery.sites import find_sites
from nas_attn.models.discovery.tape import record

ASKED = AskedNetwork("module", "a.b:c")


def found(network: nn.Module) -> tuple[dict[str, str], tuple[str, ...]]:
    findings = find_sites(record(on_meta(network), 3))
    return {str(site.location): site.at for site in findings.sites}, findings.unclear


def test_the_hand_written_unet_has_all_of_its_places(small_unet: type[nn.Module]) -> None:
    findings = find_sites(record(on_meta(small_unet()), 3))
    rows = {
        str(one.location): (one.at, one.channels, one.stride, one.gate, one.gate_channels)
        for one in findings.sites
    }
    assert rows == {
        "encoder.0": ("enc0", 8, 1, "", 0),
        "encoder.1": ("enc1", 16, 2, "", 0),
        "encoder.2": ("enc2", 32, 4, "", 0),
        "bottleneck": ("middle", 64, 8, "", 0),
        "skip.0": ("dec0(input)[0:8]", 8, 1, "dec0(input)[8:16]", 8),
        "skip.1": ("dec1(input)[0:16]", 16, 2, "dec1(input)[16:32]", 16),
        "skip.2": ("dec2(input)[0:32]", 32, 4, "dec2(input)[32:64]", 32),
        "decoder.0": ("dec0", 8, 1, "dec0(input)[8:16]", 8),
        "decoder.1": ("dec1", 16, 2, "dec1(input)[16:32]", 16),
        "decoder.2": ("dec2", 32, 4, "dec2(input)[32:64]", 32),
    }
    assert findings.unclear == ()


class Functional(nn.Module):
    """Everything but the convolutions is written in ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = functional.relu(self.down(x))
        deep = functional.relu(self.middle(functional.max_pool2d(skip, 2)))
        return self.up(functional.interpolate(deep, scale_factor=2) + skip)


def test_what_only_forward_sees_is_no_place_and_says_so() -> None:
    sites, unclear = found(Functional())
    assert sites == {}
    assert unclear == (
        "encoder.0: what comes out there is the output of no submodule",
        "bottleneck: what comes out there is the output of no submodule",
        "decoder.0: what comes out there is the output of no submodule",
    )


class Shared(nn.Module):
    """One block for both resolutions, on the way down."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.up = (
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.ConvTranspose2d(4, 4, 2, 2),
        )
        self.merge, self.head = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.block(self.stem(x))
        deep = self.block(functional.max_pool2d(skip, 2))
        return self.head(self.merge(torch.cat([self.up(deep), skip], 1)))


def test_a_block_that_is_called_twice_is_no_place() -> None:
    sites, unclear = found(Shared())
    assert sites == {"skip.0": "merge(input)[4:8]", "decoder.0": "merge"}
    assert unclear == (
        "encoder.0: block is called 2 times in one pass",
        "bottleneck: block is called 2 times in one pass",
    )


def test_a_person_names_places_that_are_not_found() -> None:
    asked = AskedNetwork(
        "module", "a.b:c", locations={"encoder.0": AskedSite("down"), "bottleneck": AskedSite("middle")}
    )
    sites, unclear = locate(asked, on_meta(Functional()), 3, 2)
    assert {str(site.location): (site.at, site.channels, site.stride) for site in sites} == {
        "encoder.0": ("down", 4, 1),
        "bottleneck": ("middle", 4, 2),
    }
    assert unclear == ("decoder.0: what comes out there is the output of no submodule",)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("dwn", "a.b:c: locations: the network has no submodule 'dwn'; did you mean 'down'?"),
        ("block", "a.b:c: locations: encoder.0: block is used 2 times for an image, and must be used once"),
    ],
)
def test_a_place_that_a_person_names_wrongly_is_told(place: str, problem: str) -> None:
    network = Shared() if place == "block" else Functional()
    asked = AskedNetwork("module", "a.b:c", locations={"encoder.0": AskedSite(place)})
    with pytest.raises(NetworkError) as caught:
        locate(asked, on_meta(network), 3, 2)
    assert [one.replace("encoder.0: the", "the") for one in caught.value.problems] == [problem]


class Flat(nn.Module):
    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Pooled(Flat):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((2, 3))


class Broken(Flat):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no\nway")


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Flat(), "a.b:c: no location for attention was found"),
        (Flat(5), r"a.b:c: gives \(1, 5, 256, 384\) for an image .* must give class scores \(1, 2, 256, 384\)"),
        (Pooled(), r"a.b:c: gives \(1, 2\)"),
        (Broken(), "a.b:c: fails on an image of 256x384 pixels with 3 channels: RuntimeError: no$"),
    ],
)
def test_what_is_no_segmentation_network_is_told_in_one_line(network: nn.Module, problem: str) -> None:
    with pytest.raises(NetworkError, match=problem) as caught:
        locate(ASKED, on_meta(network), 3, 2)
    assert len(caught.value.problems) == 1


UNET32 = {*(f"{stage}.{level}" for stage in ("encoder", "skip") for level in range(1, 5)), "bottleneck"}
FULL = {*(f"{stage}.{level}" for stage in ("encoder", "skip", "decoder") for level in range(4)), "bottleneck"}
DECODER5 = {f"decoder.{level}" for level in range(5)}
THREE = {*(f"{stage}.{level}" for stage in ("encoder", "skip", "decoder") for level in range(4)), "bottleneck"}
NETWORKS: dict[str, set[str]] = {
    "smp:Unet/resnet18": UNET32 | DECODER5,
    "smp:Unet/mobilenet_v2": UNET32 | DECODER5,
    "smp:Unet/timm-tf_efficientnet_lite0": UNET32 | DECODER5,
    "smp:MAnet/resnet18": UNET32 | DECODER5,
    "smp:Linknet/resnet18": UNET32 | DECODER5,
    "smp:UnetPlusPlus/resnet18": (UNET32 - {"skip.1", "skip.2", "skip.3"}) | DECODER5,
    "smp:FPN/resnet18": (UNET32 - {"skip.1"}) | {"decoder.2", "decoder.3", "decoder.4"},
    "smp:DeepLabV3Plus/resnet18": {"encoder.1", "encoder.2", "encoder.3", "bottleneck", "skip.2", "decoder.2"},
    "smp:Segformer/resnet18": {
        "encoder.1",
        "encoder.2",
        "encoder.3",
        "encoder.4",
        "bottleneck",
        "skip.2",
        "decoder.2",
    },
    "monai:UNet": {
        *(f"{stage}.{level}" for stage in ("encoder", "skip", "decoder") for level in (1, 2, 3)),
        "bottleneck",
    },
    "monai:BasicUNet": FULL,
    "monai:DynUNet": FULL,
    "monai:AttentionUnet": FULL,
    "monai:SegResNet": {
        *(f"{stage}.{level}" for stage in ("encoder", "decoder") for level in range(3)),
        "bottleneck",
    },
    "monai:FlexibleUNet": UNET32 | DECODER5,
    "nnunet:PlainConvUNet": FULL,
    "nnunet:ResidualEncoderUNet": FULL,
}
LIBRARIES = {
    "smp": "segmentation_models_pytorch",
    "monai": "monai",
    "nnunet": "dynamic_network_architectures",
}


@pytest.mark.parametrize("text", NETWORKS)
def test_the_places_of_known_networks(text: str) -> None:
    asked = installed(text)
    network = look_at(asked).network
    assert {str(location) for location in network.locations} == NETWORKS[text]
    assert network.divisor == max(site.stride for site in network.found)
    assert network.least_size % network.divisor == 0


EVERY_NETWORK = ("small_unet:SmallUNet", *NETWORKS)


def slow_unless(quick: bool) -> list[pytest.MarkDecorator]:
    """The mark of a test that takes minutes with every network."""
    return [] if quick else [pytest.mark.slow]


def installed(text: str) -> AskedNetwork:
    """The network, where its library is installed; one of a user's own is."""
    asked: Any = AskedNetwork.parse(text)
    if asked.family not in LIBRARIES:
        return AskedNetwork.parse(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, not ours
        pytest.importorskip(LIBRARIES[asked.family])
        build_fresh(asked, 3, 2, seed=0)
    return AskedNetwork.parse(text)
