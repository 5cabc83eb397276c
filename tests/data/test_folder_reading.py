from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_attn.data import check_folder, read_folder
from nas_attn.errors import DataError

MINI = ("dsb2018_nuclei", "lara_coffee_leaf", "usgra_nerves")


@pytest.mark.parametrize("name", MINI)
def test_a_real_set_is_read_as_its_description_says(shared_data, name):
    folder = shared_data / "mini" / name
    described = json.loads((folder / "dataset.json").read_text())
    dataset = read_folder(folder)
    assert dataset.classes == tuple(described["classes"])
    assert dataset.in_channels == described["in_channels"]
    assert {split: len(getattr(dataset, split)) for split in ("train", "val", "test")} == described["counts"]
    for split, shares in described["class_pixel_fraction"].items():
        masks = getattr(dataset, split).masks
        labelled = (masks != 255).sum().item()
        found = [(masks == index).sum().item() / labelled for index in range(len(dataset.classes))]
        assert found == pytest.approx(list(shares.values()), abs=1e-5)


@pytest.mark.parametrize("name", MINI)
def test_every_image_of_a_real_set_equals_what_pillow_reads(shared_data, name):
    folder = shared_data / "mini" / name
    images = read_folder(folder).val
    assert list(images.names) == sorted(path.stem for path in (folder / "images" / "val").iterdir())
    for index, stem in enumerate(images.names):
        pixels = np.asarray(Image.open(folder / "images" / "val" / f"{stem}.png"))
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        assert np.array_equal(images.image(index).numpy(), planes)
        mask = np.asarray(Image.open(folder / "masks" / "val" / f"{stem}.png"))
        assert np.array_equal(images.mask(index).numpy(), mask)


def test_mean_and_std_are_those_of_the_training_pixels_without_padding(shared_data):
    folder = shared_data / "mini" / "dsb2018_nuclei"
    dataset = read_folder(folder)
    files = sorted((folder / "images" / "train").iterdir())
    pixels = np.concatenate([np.asarray(Image.open(path), dtype=np.float64).reshape(-1, 3) for path in files])
    assert dataset.mean == pytest.approx(pixels.mean(axis=0))
    assert dataset.std == pytest.approx(pixels.std(axis=0))


def test_images_of_different_sizes_are_padded_with_ignored_pixels(make_folder):
    folder = make_folder(
        images={"train/a": np.full((3, 11, 3), 7, np.uint8)}, masks={"train/a": np.ones((3, 11), np.uint8)}
    )
    images = read_folder(folder).train
    assert images.pixels.shape == (2, 3, 6, 11)
    assert images.heights == (3, 6)
    assert images.widths == (11, 8)
    assert images.image(0).shape == (3, 3, 11)
    assert images.mask(0).unique().tolist() == [1]
    assert images.masks[0, 3:].unique().tolist() == [255]
    assert images.masks[1, :, 8:].unique().tolist() == [255]
    assert images.pixels[0, :, 3:].count_nonzero() == 0


def test_a_constant_channel_has_the_standard_deviation_one(make_folder):
    flat = {f"train/{name}": np.full((6, 8, 3), 9, np.uint8) for name in "a"}
    folder = make_folder(images=flat)
    (folder / "images/train/b.png").unlink()
    (folder / "masks/train/b.png").unlink()
    dataset = read_folder(folder)
    assert dataset.mean == (9.0, 9.0, 9.0)
    assert dataset.std == (1.0, 1.0, 1.0)


class TestFingerprint:
    def test_stays_when_a_file_is_only_stored_in_another_way(self, make_folder):
        folder = make_folder()
        before = read_folder(folder).fingerprint
        image = Image.open(folder / "images/val/a.png")
        image.load()
        (folder / "images/val/a.png").unlink()
        image.save(folder / "images/val/a.bmp")
        assert read_folder(folder).fingerprint == before

    @pytest.mark.parametrize("part", ["images", "masks"])
    def test_changes_with_a_single_pixel(self, make_folder, part):
        folder = make_folder()
        before = read_folder(folder).fingerprint
        path = folder / part / "test" / "b.png"
        values = np.asarray(Image.open(path)).copy()
        values.flat[0] = 1 - values.flat[0] if part == "masks" else values.flat[0] ^ 1
        Image.fromarray(values).save(path)
        assert read_folder(folder).fingerprint != before

    def test_changes_with_a_name_and_with_the_classes(self, make_folder):
        folder = make_folder()
        seen = {read_folder(folder).fingerprint}
        (folder / "dataset.yaml").write_text("classes: [soil, plant]")
        seen.add(read_folder(folder).fingerprint)
        (folder / "images/val/a.png").rename(folder / "images/val/c.png")
        (folder / "masks/val/a.png").rename(folder / "masks/val/c.png")
        seen.add(read_folder(folder).fingerprint)
        assert len(seen) == 3


class TestLongestSide:
    def test_larger_images_shrink_to_it_and_smaller_ones_stay(self, make_folder):
        wide = np.zeros((20, 40, 3), np.uint8)
        folder = make_folder(images={"train/a": wide}, masks={"train/a": np.eye(20, 40).astype(np.uint8)})
        images = read_folder(folder, longest_side=10).train
        assert images.image(0).shape == (3, 5, 10)
        assert images.image(1).shape == (3, 6, 8)
        assert "1 images are shrunk to a longest side of 10 pixels" in check_folder(folder, longest_side=10).notes

    def test_an_image_is_averaged(self, make_folder):
        fine = np.tile(np.array([200, 0, 0, 0], np.uint8), (32, 8))
        mask = np.eye(32, dtype=np.uint8)
        folder = make_folder(images={"train/a": np.dstack([fine] * 3)}, masks={"train/a": mask})
        inner = read_folder(folder, longest_side=8).train.image(0)[:, 2:-2, 2:-2].float()
        assert torch.all((inner - 200 / 4).abs() <= 6)

    def test_a_mask_takes_the_value_in_the_middle(self, make_folder):
        mask = np.zeros((24, 24), np.uint8)
        mask[1::3, 1::3] = np.arange(64).reshape(8, 8) % 2
        folder = make_folder(images={"train/a": np.zeros((24, 24, 3), np.uint8)}, masks={"train/a": mask})
        assert np.array_equal(read_folder(folder, longest_side=8).train.mask(0), np.arange(64).reshape(8, 8) % 2)

    def test_mask_and_image_stay_on_top_of_each_other(self, make_folder):
        mask = np.zeros((45, 45), np.uint8)
        mask[18:27, 9:36] = 1
        folder = make_folder(images={"train/a": np.stack([mask * 255] * 3, -1)}, masks={"train/a": mask})
        images = read_folder(folder, longest_side=15).train
        bright = images.image(0)[0] > 127
        assert torch.equal(bright, images.mask(0) == 1)

    def test_a_side_below_one_is_refused(self, make_folder):
        with pytest.raises(DataError, match="longest_side is 0; it must be at least 1"):
            read_folder(make_folder(), longest_side=0)


class TestLayouts:
    def flat(self, save, folder: Path, names: list[str]) -> None:
        random = np.random.default_rng(1)
        for name in names:
            save(folder / "images" / f"{name}.png", random.integers(0, 256, (4, 4), dtype=np.uint8))
            save(folder / "masks" / f"{name}.png", np.eye(4, dtype=np.uint8))

    def test_a_flat_folder_is_split_into_about_70_15_15(self, save, tmp_path):
        self.flat(save, tmp_path, [f"img{i:03d}" for i in range(200)])
        dataset = read_folder(tmp_path)
        assert len(dataset.train) == pytest.approx(140, abs=20)
        assert len(dataset.val) == pytest.approx(30, abs=15)
        assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 200
        assert any("70% train, 15% val, 15% test" in note for note in check_folder(tmp_path).notes)

    def test_new_files_move_no_old_ones(self, save, tmp_path):
        self.flat(save, tmp_path / "few", [f"img{i}" for i in range(30)])
        self.flat(save, tmp_path / "many", [f"img{i}" for i in range(60)])
        few, many = read_folder(tmp_path / "few"), read_folder(tmp_path / "many")
        for split in ("train", "val", "test"):
            assert set(getattr(few, split).names) <= set(getattr(many, split).names)

    @pytest.mark.parametrize("name", ["valid", "validation", "Val"])
    def test_other_names_of_val_are_known(self, make_folder, name):
        folder = make_folder()
        for part in ("images", "masks"):
            (folder / part / "val").rename(folder / part / name)
        assert read_folder(folder).val.names == ("a", "b")

    @pytest.mark.parametrize("missing", ["val", "test"])
    def test_a_missing_split_is_taken_from_training(self, save, tmp_path, missing):
        given = {"val", "test"} - {missing}
        for number in range(40):
            split = "train" if number < 36 else given.copy().pop()
            pixels = np.random.default_rng(number).integers(0, 256, (4, 4), dtype=np.uint8)
            save(tmp_path / "images" / split / f"{number}.png", pixels)
            save(tmp_path / "masks" / split / f"{number}.png", np.eye(4, dtype=np.uint8))
        dataset = read_folder(tmp_path)
        assert 0 < len(getattr(dataset, missing)) < 15
        assert len(getattr(dataset, given.pop())) == 4
        notes = check_folder(tmp_path).notes
        assert any(f"15% of the training images became {missing}" in note for note in notes)

    @pytest.mark.parametrize("suffix", ["_mask", "_seg", "_label"])
    def test_a_mask_may_say_in_its_name_what_it_is(self, make_folder, suffix):
        folder = make_folder()
        (folder / "masks/train/a.png").rename(folder / f"masks/train/a{suffix}.png")
        assert read_folder(folder).train.names == ("a", "b")

    def test_splits_may_be_named_in_the_declaration(self, save, tmp_path):
        self.flat(save, tmp_path, ["0017", "0018", "p1_a", "p1_b", "p2_a", "spare"])
        (tmp_path / "dataset.yaml").write_text("splits: {train: [0017, 0018], val: ['p1_*'], test: p2_a}")
        dataset = read_folder(tmp_path)
        assert dataset.train.names == ("0017", "0018")
        assert dataset.val.names == ("p1_a", "p1_b")
        assert dataset.test.names == ("p2_a",)
        assert "left out: 1 images that no split of dataset.yaml names" in check_folder(tmp_path).notes


def test_a_large_image_among_small_ones_takes_no_more_than_itself(tmp_path: Path) -> None:
    """Its storage is counted, whoever shares it."""
    for name, side in (("train/a", 300), ("train/b", 8), ("train/c", 8), ("val/a", 8), ("test/a", 9)):
        for part, top in (("images", 256), ("masks", 2)):
            path = tmp_path / part / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            random = np.random.default_rng(side + len(name))
            Image.fromarray(random.integers(0, top, (side, side)).astype(np.uint8)).save(path)
    train = read_folder(tmp_path).train

    images, labels = list(train.images), list(train.labels)
    held = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in (*images, *labels)}
    assert sum(held.values()) == 2 * (300**2 + 2 * 8**2)
    assert [image.stride() for image in images] == [(300**2, 300, 1), (64, 8, 1), (64, 8, 1)]
