import numpy as np
import pytest
import torch
from torch import nn

from nas_attn.data.dataset import pack
from nas_attn.errors import UsageError
from nas_attn.fit.scoring import score_images
from nas_attn.fit.whole import WholeImages
from nas_attn.network import UNetConfig
from nas_attn.training import initialise, recalibrate_batchnorm
from nas_attn.training.normalise import Normalisation
from nas_attn.training.segmenter import Segmenter, tile_margin
from nas_attn.unet import build_unet

NORMALISATION = Normalisation((100.0,), (50.0,))


def conv_segmenter(seed=0):
    network = UNetConfig(in_channels=1, classes=3, depth=2, base_channels=4)
    module = build_unet(network, network.plain)
    initialise(module, seed)
    noise = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(seed))
    recalibrate_batchnorm(module, [noise], module)
    with torch.no_grad():  # so that every class is found somewhere
        module.head.bias -= module(noise).mean((0, 2, 3))
    return Segmenter(module.eval(), NORMALISATION, network.min_image_size)


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
    assert torch.equal(segmenter.labels(image), logits[0].argmax(0).to(torch.uint8))


@pytest.mark.parametrize(("height", "width"), [(150, 70), (301, 96), (64, 333), (130, 131)])
def test_tiles_of_a_convolutional_network_give_what_the_whole_image_gives(height, width):
    # Depth 2 sees about 20 pixels far, less than the margin of 24.
    segmenter, image = conv_segmenter(), random_image(height, width)
    whole = segmenter.labels(image, tile=400)
    assert len(whole.unique()) == 3
    assert torch.equal(segmenter.labels(image, tile=96), whole)


def test_no_pixel_is_taken_from_the_cut_border_of_a_tile():
    segmenter = Segmenter(Position(), NORMALISATION, 4)
    labels = segmenter.labels(random_image(300, 40), tile=64)
    assert (labels[0] == 0).all()
    assert (labels[1:] == 1).all()


def test_images_beyond_2048_pixels_are_tiled_unasked():
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(tuple(images.shape[2:]))
            return images.expand(-1, 2, -1, -1)

    Segmenter(Spy(), NORMALISATION, 16).labels(random_image(2100, 40))
    assert seen == [(1024, 40), (1024, 40), (1012, 40)]  # the last begins on the grid of 16


@pytest.mark.parametrize("tile", [8, 15, 66])
def test_a_tile_without_room_for_a_margin_or_off_the_grid_is_refused(tile):
    with pytest.raises(
        UsageError, match=f"tile is {tile}; for this network it must be a multiple of 4, at least 16"
    ):
        conv_segmenter().labels(random_image(100, 100), tile=tile)


def test_margin_is_a_quarter_of_small_tiles_and_128_pixels_of_large_ones():
    assert [tile_margin(tile, 16) for tile in (64, 160, 512, 1024)] == [16, 32, 128, 128]


def test_an_image_smaller_than_the_network_takes_is_continued_and_cut_back():
    segmenter, image = conv_segmenter(), random_image(3, 10)
    continued = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 1), (0, 0)), mode="reflect"))
    assert torch.equal(segmenter.labels(image), segmenter.labels(continued)[:3])


def test_labels_can_be_larger_than_the_image():
    segmenter, image = conv_segmenter(), random_image(16, 24)
    with torch.no_grad():
        logits = segmenter.logits(image[None])
    enlarged = nn.functional.interpolate(logits, size=(33, 50), mode="bilinear")
    assert torch.equal(segmenter.labels(image, height=33, width=50), enlarged[0].argmax(0).to(torch.uint8))


def images_of(sizes):
    rng = np.random.default_rng(0)
    pixels = [torch.from_numpy(rng.integers(0, 256, (1, *size), dtype=np.uint8)) for size in sizes]
    masks = [torch.from_numpy(rng.choice([0, 1, 2, 255], size=size).astype(np.uint8)) for size in sizes]
    return pack(pixels, masks, [str(index) for index in range(len(sizes))])


def test_score_pools_all_pixels_of_images_of_different_sizes():
    images, segmenter = images_of([(16, 20), (24, 16), (5, 9)]), conv_segmenter()
    iou, per_class = score_images(segmenter, images, 3, torch.device("cpu"))
    truth = np.concatenate([images.mask(index).numpy().ravel() for index in range(3)])
    found = np.concatenate([segmenter.labels(images.image(index)).numpy().ravel() for index in range(3)])
    found, truth = found[truth != 255], truth[truth != 255]
    expected = [((found == k) & (truth == k)).sum() / ((found == k) | (truth == k)).sum() for k in range(3)]
    assert per_class == pytest.approx(expected)
    assert iou == pytest.approx(np.mean(expected))


SIZES = [(4, 5), (6, 5), (4, 5), (4, 5), (6, 5), (7, 7)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_whole_images_are_shared_out_once_each_in_equally_many_batches(world_size):
    images = images_of(SIZES)
    shares = [WholeImages(images, 2, rank, world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    batches = [share[number] for share in shares for number in range(len(share))]
    sizes = sorted(tuple(batch.masks.shape[1:]) for batch in batches for _ in batch.masks)
    assert sizes == sorted(SIZES)
    assert max(len(batch.masks) for batch in batches) <= 2
    total = sum(int(batch.pixels.sum()) for batch in batches)
    assert total == sum(int(images.image(index).sum()) for index in range(len(SIZES)))
