"""What the U-Net takes, refuses and leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch

from nas_attn.errors import NetworkError
from nas_attn.models.build import build_unet
from nas_attn.models.network import NORMS, UPSAMPLINGS, UNetConfig
from nas_attn.models.unet import UNet


def plain(in_channels: int = 1, classes: int = 2, norm: str = "batch", upsampling: str = "transpose") -> UNet:
    network = UNetConfig(in_channels, classes, depth=2, base_channels=4, norm=norm, upsampling=upsampling)
    return build_unet(network, network.plain)


@pytest.mark.parametrize(("in_channels", "classes"), [(1, 2), (3, 7), (8, 3)])
def test_any_number_of_channels_and_classes(in_channels: int, classes: int) -> None:
    logits = plain(in_channels, classes)(torch.randn(2, in_channels, 9, 6))
    assert logits.shape == (2, classes, 9, 6)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("norm", NORMS)
def test_the_gradient_reaches_every_parameter(norm: str, upsampling: str) -> None:
    net = plain(norm=norm, upsampling=upsampling)
    net(torch.randn(2, 1, 11, 13)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("norm", NORMS)
def test_the_smallest_image_gives_finite_logits_in_evaluation(norm: str) -> None:
    assert plain(norm=norm).eval()(torch.randn(1, 1, 4, 4)).isfinite().all()


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_a_single_smallest_image_can_be_learned_from(norm: str) -> None:
    net = plain(norm=norm)
    net(torch.randn(1, 1, 4, 4)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize(("height", "width"), [(3, 16), (16, 3), (1, 1)])
def test_an_image_too_small_for_the_depth_is_refused(height: int, width: int) -> None:
    with pytest.raises(
        NetworkError, match=f"{height}x{width} pixels is too small for a depth of 2; both sides must be at least 4"
    ):
        plain()(torch.zeros(1, 1, height, width))


def test_batch_norm_refuses_a_single_value_per_channel() -> None:
    with pytest.raises(
        NetworkError, match=r"single image of 7x7 pixels.* 2 images or more, or one side of at least 8"
    ):
        plain()(torch.zeros(1, 1, 7, 7))
    for shape in ((2, 1, 7, 7), (1, 1, 8, 7), (1, 1, 7, 8)):
        plain()(torch.randn(shape))


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 8)], ids=["channels", "no batch"])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(NetworkError, match=r"images have the shape \(.*\); the network takes \(N, 1, H, W\)"):
        plain()(torch.zeros(shape))


def test_evaluation_treats_every_image_by_itself() -> None:
    net, images = plain().eval(), torch.randn(3, 1, 9, 12)
    with torch.no_grad():
        together = net(images)
        apart = torch.cat([net(images[index : index + 1]) for index in range(3)])
    torch.testing.assert_close(together, apart)


def test_channels_last_changes_nothing_but_rounding() -> None:
    net, images = plain(3).eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = net(images)
        net.to(memory_format=torch.channels_last)
        measured = net(images.to(memory_format=torch.channels_last))
    assert measured.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(measured, expected)


def test_an_image_is_not_changed_in_place() -> None:
    images = torch.randn(1, 1, 8, 8)
    before = images.clone()
    plain().eval()(images)
    assert torch.equal(images, before)


def test_a_copy_and_a_loaded_state_give_the_same_logits() -> None:
    net, images = plain().eval(), torch.randn(1, 1, 8, 8)
    other = plain().eval()
    with torch.no_grad():
        expected = net(images)
        assert not torch.equal(other(images), expected)
        other.load_state_dict(net.state_dict())
        assert torch.equal(other(images), expected)
        assert torch.equal(copy.deepcopy(net)(images), expected)
