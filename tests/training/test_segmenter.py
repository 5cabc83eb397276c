import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.errors import UsageError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.training import initialise, recalibrate_batchnorm
from nas_attn.training.segmenter import Segmenter, reflect_pad, tile_margin

STATISTICS = torch.tensor([100.0]), torch.tensor([50.0])


def conv_segmenter(seed=0):
    network = UNetConfig(in_channels=1, classes=3, depth=2, base_channels=4)
    module = build_unet(network, network.plain)
    initialise(module, seed)
    noise = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(seed))
    recalibrate_batchnorm(module, [noise], module)
    with torch.no_grad():  # so that every class is found somewhere
        module.head.bias -= module(noise).mean((0, 2, 3))
    return Segmenter(module.eval(), *STATISTICS, network.min_image_size)


class Position(nn.Module):
    """Logits that say where a pixel lies in what the network was given."""

    def forward(self, images):
        rows = torch.arange(images.shape[2]).view(1, 1, -1, 1).expand(len(images), 1, -1, images.shape[3])
        return torch.cat([rows == 0, rows > 0], dim=1).float()


def random_image(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, height, width), dtype=np.uint8))


def test_labels_are_the_argmax_of_the_normalised_image():
    segmenter, image = conv_segmenter(), random_image(20, 36)
    with torch.no_grad():
        logits = segmenter.module((image[None].double() - 100).div(50).float())
    assert torch.equal(segmenter.labels(image[None])[0], logits[0].argmax(0).to(torch.uint8))


@pytest.mark.parametrize(("height", "width"), [(150, 70), (301, 96), (64, 333), (130, 131)])
def test_tiles_of_a_convolutional_network_give_what_the_whole_image_gives(height, width):
    # Depth 2 sees about 20 pixels far, less than the margin of 24.
    segmenter, image = conv_segmenter(), random_image(height, width)
    whole = segmenter.labels(image[None], tile=400)[0]
    assert len(whole.unique()) == 3
    assert torch.equal(segmenter.labels(image[None], tile=96)[0], whole)


def test_no_pixel_is_taken_from_the_cut_border_of_a_tile():
    segmenter = Segmenter(Position(), *STATISTICS, 4)
    labels = segmenter.labels(random_image(300, 40)[None], tile=64)[0]
    assert (labels[0] == 0).all()
    assert (labels[1:] == 1).all()


def test_images_beyond_2048_pixels_are_tiled_unasked():
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(tuple(images.shape[2:]))
            return images.expand(-1, 2, -1, -1)

    Segmenter(Spy(), *STATISTICS, 16).labels(random_image(2100, 40)[None])[0]
    assert seen == [(1024, 40), (1024, 40), (1012, 40)]  # the last begins on the grid of 16


@pytest.mark.parametrize("tile", [8, 15, 66])
def test_a_tile_without_room_for_a_margin_or_off_the_grid_is_refused(tile):
    with pytest.raises(
        UsageError, match=f"tile is {tile}; for this network it must be a multiple of 4, at least 16"
    ):
        conv_segmenter().labels(random_image(100, 100)[None], tile=tile)


def test_margin_is_a_quarter_of_small_tiles_and_128_pixels_of_large_ones():
    assert [tile_margin(tile, 16) for tile in (64, 160, 512, 1024)] == [16, 32, 128, 128]


def test_an_image_smaller_than_the_network_takes_is_continued_and_cut_back():
    segmenter, image = conv_segmenter(), random_image(3, 10)
    continued = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 1), (0, 0)), mode="reflect"))
    assert torch.equal(segmenter.labels(image[None])[0], segmenter.labels(continued[None])[0][:3])


def test_labels_can_be_larger_than_the_image():
    segmenter, image = conv_segmenter(), random_image(16, 24)
    with torch.no_grad():
        logits = segmenter.logits(image[None])
    enlarged = nn.functional.interpolate(logits, size=(33, 50), mode="bilinear")
    assert torch.equal(
        segmenter.labels(image[None], height=33, width=50)[0], enlarged[0].argmax(0).to(torch.uint8)
    )


def test_scores_of_an_image_beyond_2048_pixels_are_put_together_from_the_tiles_of_its_labels():
    segmenter, image = conv_segmenter(), random_image(2100, 12)
    logits = segmenter.logits(image[None])
    assert torch.equal(logits.argmax(1).to(torch.uint8), segmenter.labels(image[None]))
    with torch.no_grad():
        whole = segmenter.module((image[None].double() - 100).div(50).float())
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(14, 8), (5, 30), (9, 7)])
def test_small_images_are_reflected_at_the_bottom_and_the_right(height, width):
    image = np.random.default_rng(0).integers(0, 255, (2, 3, 5, 7))
    padding = (0, max(0, height - 5)), (0, max(0, width - 7))
    expected = np.pad(image, ((0, 0), (0, 0), *padding), mode="reflect")
    assert (reflect_pad(torch.from_numpy(image), height, width).numpy() == expected).all()


def test_a_single_row_is_repeated():
    assert reflect_pad(torch.arange(3).view(1, 1, 1, 3), 4, 3)[0, 0, :, 2].tolist() == [2, 2, 2, 2]


def test_images_large_enough_are_left_alone():
    image = torch.rand(1, 3, 20, 16)
    assert reflect_pad(image, 16, 16) is image
