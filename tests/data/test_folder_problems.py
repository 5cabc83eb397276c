from __future__ import annotations

import base64
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from nas_attn.data import check_folder, read_folder
from nas_attn.data.layout import ENDINGS
from nas_attn.data.problem import Problem, Sort, folded
from nas_attn.data.raster import KINDS
from nas_attn.errors import DataError


def problems(folder):
    """All problems, on which checking and reading must agree."""
    report = check_folder(folder)
    assert not report.usable
    with pytest.raises(DataError) as raised:
        read_folder(folder)
    assert raised.value.problems == report.problems
    assert all(line.isprintable() for line in report.problems)
    return report.problems


def test_all_problems_are_told_at_once(make_folder):
    folder = make_folder(
        masks={"train/a": np.zeros((6, 9), np.uint8), "val/b": np.full((6, 8), 7, np.uint8)},
    )
    (folder / "dataset.yaml").write_text("classes: [soil, plant, roof]")
    (folder / "masks/test/a.png").unlink()
    (folder / "images/test/b.png").unlink()
    (folder / "images/val/a.png").write_bytes(b"")
    assert set(problems(folder)) == {
        "images/test/a.png: image without mask; expected masks/test/a.png or the like",
        "masks/test/b.png: mask without image; no image is named 'b'",
        "images/train/a.png: sizes differ: image 8x6, mask 9x6 (width x height)",
        "images/val/a.png: is empty (0 bytes)",
        "masks/val/b.png: value 7 is outside the 3 classes (0 soil, 1 plant, 2 roof); values found: 7",
        "class 'roof' is absent from all training masks",
        "there is no image with a mask in test",
    }


class TestFolders:
    def test_an_empty_folder_is_told_what_belongs_there(self, tmp_path):
        (problem,) = problems(tmp_path)
        assert "the folder is empty; expected images/train, images/val, images/test" in problem

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path):
        (problem,) = problems(tmp_path / "nowhere")
        assert "nowhere: no such folder; expected images/train" in problem

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "x.zip").write_bytes(b"")
        assert "x.zip: is a file, not a folder" in problems(tmp_path / "x.zip")[0]

    def test_a_folder_without_masks_says_what_it_found(self, make_folder):
        folder = make_folder()
        (folder / "masks").rename(folder / "annotations")
        (problem,) = problems(folder)
        assert "no masks/; found annotations/, images/; expected" in problem

    def test_images_without_files_are_named(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "masks").mkdir()
        assert problems(tmp_path) == (f"images/ holds no image ({', '.join(ENDINGS)})",)

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("dsb2018_nuclei", "found stage1_train/"),
            ("usgra_nerves", "did you mean .*usgra_nerves/dataset?"),
            ("lara_coffee_leaf", "found segmentation/"),
            (
                "lara_coffee_leaf/segmentation/dataset",
                "no masks/; found annotations-info.txt, annotations/",
            ),
        ],
    )
    def test_raw_folders_are_refused_with_what_was_found_and_what_is_expected(self, shared_data, name, found):
        with pytest.raises(DataError, match=found) as raised:
            read_folder(shared_data / "raw" / name)
        (problem,) = raised.value.problems
        assert "expected images/train, images/val, images/test" in problem

    def test_a_raw_flat_folder_is_read_and_its_nested_test_set_mentioned(self, shared_data):
        report = check_folder(shared_data / "raw/usgra_nerves/dataset")
        assert report.usable
        assert report.in_channels == 3
        assert "left out: test/, which holds images of its own; to use it, move it to images/test" in report.notes

    def test_a_misspelt_split_folder_is_told_its_name(self, make_folder):
        folder = make_folder()
        (folder / "images/train").rename(folder / "images/trian")
        assert "images/trian/: unknown split folder; did you mean 'train'?" in problems(folder)

    def test_two_folders_of_one_split_are_refused(self, make_folder):
        folder = make_folder()
        (folder / "images/valid").mkdir()
        assert "images/val/ and images/valid/ are both val; put their files into one" in problems(folder)

    def test_files_beside_split_folders_are_refused(self, make_folder):
        folder = make_folder(images={"stray": np.zeros((6, 8, 3), np.uint8)})
        assert any("images/ holds 1 files beside split folders" in line for line in problems(folder))

    def test_images_split_and_masks_not_is_refused(self, make_folder):
        folder = make_folder()
        for split in ("train", "val", "test"):
            for name in ("a", "b"):
                (folder / f"masks/{split}/{name}.png").rename(folder / f"masks/{split}_{name}.png")
            (folder / f"masks/{split}").rmdir()
        expected = "images/ is split into folders and masks/ is not; split both the same way, or neither"
        assert expected in problems(folder)

    def test_training_images_cannot_be_missing(self, make_folder):
        folder = make_folder()
        for part in ("images", "masks"):
            for path in (folder / part / "train").iterdir():
                path.unlink()
        assert "there is no training image; put some into images/train and masks/train" in problems(folder)

    def test_a_split_by_name_that_leaves_one_empty_says_so(self, tmp_path, save):
        save(tmp_path / "images/a.png", np.eye(4, dtype=np.uint8))
        save(tmp_path / "masks/a.png", np.eye(4, dtype=np.uint8))
        assert any("fell into test; name the splits" in line for line in problems(tmp_path))


class TestNames:
    def test_images_of_one_name_are_refused(self, make_folder):
        folder = make_folder()
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(folder / "images/train/a.bmp")
        assert "images/train/a.bmp and images/train/a.png: images of one name; rename one of them" in problems(
            folder
        )

    def test_several_masks_of_one_image_are_refused(self, make_folder):
        folder = make_folder(masks={"train/a_mask": np.zeros((6, 8), np.uint8)})
        expected = "images/train/a.png: several masks: masks/train/a.png, masks/train/a_mask.png; keep one, or "
        expected += "'instances: true' makes them one"
        assert problems(folder) == (expected,)

    def test_an_image_named_like_a_mask_keeps_its_own_mask(self, make_folder):
        random = np.random.default_rng(3)
        folder = make_folder(
            images={"train/a_mask": random.integers(0, 255, (6, 8, 3), dtype=np.uint8)},
            masks={"train/a_mask": np.ones((6, 8), np.uint8)},
        )
        assert read_folder(folder).train.names == ("a", "a_mask", "b")

    def test_strange_letters_are_escaped(self, make_folder, save):
        folder = make_folder()
        for name in ("new\nline", "smile\N{GRINNING FACE}", "turn\N{RIGHT-TO-LEFT OVERRIDE}", "röntgen"):
            save(folder / "images/train" / f"{name}.png", np.zeros((6, 8, 3), np.uint8))
        lines = "\n".join(problems(folder))
        assert r"images/train/new\nline.png: image without mask" in lines
        assert r"smile\U0001f600.png" in lines
        assert r"turn\u202e.png" in lines
        assert "röntgen.png" in lines

    def test_many_problems_of_one_cause_are_folded(self, make_folder, save):
        folder = make_folder()
        for number in range(142):
            save(folder / "images/train" / f"x{number:03d}.png", np.full((2, 2), number, np.uint8))
        lines = problems(folder)
        assert len(lines) == 3
        assert lines[-1] == "pairing: and 140 more like these two"

    def test_many_problems_of_a_sort_and_many_causes_are_folded(self):
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"
        lines = folded(Problem(Sort.PAIRING, f"{letter} is wrong") for letter in letters)
        assert len(lines) == 31
        assert lines[-1] == "pairing: and 6 more like it"


class TestFiles:
    def replaced(self, folder, content: bytes):
        (folder / "images/train/a.png").write_bytes(content)
        return problems(folder)

    def test_a_truncated_png_is_one_line(self, make_folder):
        random = np.random.default_rng(0)
        folder = make_folder(images={"train/a": random.integers(0, 255, (6, 8, 3), dtype=np.uint8)})
        content = (folder / "images/train/a.png").read_bytes()
        (problem,) = self.replaced(folder, content[: len(content) // 2])
        assert problem.startswith("images/train/a.png: is damaged: ")

    @pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
    @pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
    def test_no_beginning_of_a_file_is_taken_for_the_whole(self, make_folder, tmp_path, ending, deep):
        if deep and ending in ("jpg", "bmp"):
            pytest.skip("has 8 bits only")
        folder = make_folder()
        whole = tmp_path / f"whole.{ending}"
        values = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        if ending == "tif":
            tifffile.imwrite(whole, values.astype(np.uint16) if deep else values, compression="zlib")
        elif deep:
            Image.fromarray(values[..., 0].astype(np.uint16)).save(whole)
        else:
            Image.fromarray(values).save(whole)
        content = whole.read_bytes()
        for length in range(1, len(content) - 20, max(1, len(content) // 9)):
            (problem,) = self.replaced(folder, content[:length])
            assert problem.startswith("images/train/a.png: ")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty (0 bytes)"),
            (pickle.dumps({"a": 1}), f"is not a {KINDS}"),
            (b"<html>not found</html>", f"is not a {KINDS}"),
            (b"GIF89a" + bytes(50), "begins like a GIF but is damaged"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", f"is not a {KINDS}"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
                "is a Git LFS pointer; run 'git lfs pull'",
            ),
            (b"\x89PNG\r\n\x1a\n", "is damaged: it ends within its header"),
            (b"BM" + bytes(60), "is damaged: Unsupported BMP header type (0)"),
            (b"\xff\xd8\xff" + bytes(60), "begins like a JPEG but is damaged"),
        ],
        ids=["nothing", "pickle", "html", "gif", "postscript", "lfs", "signature", "bmp", "jpeg"],
    )
    def test_what_is_no_image_is_told_so(self, make_folder, content, message):
        assert self.replaced(make_folder(), content) == (f"images/train/a.png: {message}",)

    def test_a_pickle_is_never_loaded(self, make_folder, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        self.replaced(make_folder(), pickle.dumps(Trap()))
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("bits", [8, 16])
    def test_a_decompression_bomb_is_not_decoded(self, make_folder, bits):
        def chunk(kind: bytes, content: bytes) -> bytes:
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

        header = struct.pack(">IIBBBBB", 60000, 60000, bits, 2, 0, 0, 0)
        chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
        (problem,) = self.replaced(make_folder(), b"\x89PNG\r\n\x1a\n" + chunks)
        assert "is larger than the limit of" in problem

    def test_a_tiff_bomb_is_not_decoded(self, make_folder, tmp_path):
        path = tmp_path / "bomb.tif"
        with tifffile.TiffWriter(path) as file:
            file.write(np.zeros((8, 8), np.uint8))
        content = bytearray(path.read_bytes())
        for tag in (256, 257):  # ImageWidth and ImageLength: little-endian entries of one long, 8
            at = content.index(struct.pack("<HHII", tag, 4, 1, 8))
            content[at + 8 : at + 12] = struct.pack("<I", 50000)
        (problem,) = self.replaced(make_folder(), bytes(content))
        assert problem == (
            f"images/train/a.png: is larger than the limit of {Image.MAX_IMAGE_PIXELS} pixels that guards against "
            "decompression bombs; it claims to be 50000x50000"
        )

    @pytest.mark.timeout(60)
    def test_a_tiff_whose_pages_go_round_in_a_circle_is_read_once(self, make_folder):
        """Found by fuzzing: tifffile follows these pages for ever."""
        content = base64.b64decode(
            "SUkqAAgAAAAKAAABBAABAAAACAAAAAEBBAABAAAABgAAAAIBAwADAAAAAACGAAMBAwABAAAAAQAAAAYBAwABAAAA"
            "AgAAABEBBAABAAAAjAAAABUBAwABAOwAAwAAABYBBAABAAAABgAAABcBBAABAAAAkAAAABwBAwABAAAAAQAAABAA"
            "AAAIAAgACAAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFmtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaNjo8="
        )
        folder = make_folder()
        (folder / "images/train/a.png").write_bytes(content)
        assert check_folder(folder).usable

    def test_a_tiff_of_no_rows_is_damaged(self, make_folder, tmp_path):
        """Found by fuzzing."""
        path = tmp_path / "rows.tif"
        Image.fromarray(np.zeros((6, 8), np.uint8)).convert("P").save(path)
        before, tag, after = path.read_bytes().partition(struct.pack("<HHI", 257, 4, 1))  # ImageLength: one long
        (problem,) = self.replaced(make_folder(), before + tag + bytes(4) + after[4:])
        assert problem == "images/train/a.png: is damaged: it holds no pixels"

    def test_a_folder_named_like_an_image_is_told_so(self, make_folder):
        folder = make_folder()
        (folder / "images/train/x.png").mkdir()
        assert problems(folder) == ("images/train/x.png: is a folder, where an image file is expected",)

    def test_files_of_other_kinds_are_named_but_notes_and_hidden_files_are_left_out(self, make_folder):
        folder = make_folder()
        (folder / "images/train/.DS_Store").write_bytes(b"x")
        (folder / "images/train/readme.txt").write_text("x")
        assert "left out: 1 .txt files" in check_folder(folder).notes
        (folder / "images/train/c.svg").write_bytes(b"x")
        expected = f"images/train/c.svg: is not one of {', '.join(ENDINGS)}; convert it or remove it"
        assert problems(folder) == (expected,)

    def test_identical_images_in_two_splits_are_refused_however_they_are_stored(self, make_folder):
        folder = make_folder()
        image = Image.open(folder / "images/train/a.png")
        (folder / "images/test/b.png").unlink()
        image.save(folder / "images/test/b.bmp")
        expected = (
            "images/train/a.png (train) and images/test/b.bmp (test): the same pixels in different splits; "
            "keep one of them"
        )
        assert problems(folder) == (expected,)

    def test_identical_images_in_one_split_are_only_noted(self, make_folder):
        folder = make_folder()
        Image.open(folder / "images/train/a.png").save(folder / "images/train/b.png")
        assert "1 images are pixel for pixel the same as another one of their split" in check_folder(folder).notes
        assert check_folder(folder).usable

    @pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="needs a user whom permissions bind")
    def test_a_file_that_must_not_be_read_is_named(self, make_folder):
        folder = make_folder()
        (folder / "images/train/a.png").chmod(0)
        assert "Permission denied" in problems(folder)[0]


class TestLinks:
    def test_a_link_that_leaves_the_folder_is_followed(self, make_folder, tmp_path_factory):
        folder = make_folder()
        outside = tmp_path_factory.mktemp("outside") / "a.png"
        (folder / "images/train/a.png").rename(outside)
        (folder / "images/train/a.png").symlink_to(outside)
        assert check_folder(folder).usable

    def test_folders_that_are_links_are_followed(self, make_folder, tmp_path_factory):
        folder, store = make_folder(), tmp_path_factory.mktemp("store")
        before = read_folder(folder).fingerprint
        for part in ("images", "masks"):
            (folder / part).rename(store / part)
            (folder / part).symlink_to(store / part)
        assert read_folder(folder).fingerprint == before

    def test_stills_below_a_folder_that_is_linked_into_itself_are_refused(self, make_folder):
        folder = make_folder()
        (folder / "dataset.yaml").write_text("clips: false")
        (folder / "images/train/again").symlink_to(folder / "images/train")
        assert problems(folder) == ("images/train/again: is a link that leads back to itself",)

    def test_links_in_a_circle_are_refused(self, make_folder):
        folder = make_folder()
        (folder / "images/train/x.png").symlink_to(folder / "images/train/y.png")
        (folder / "images/train/y.png").symlink_to(folder / "images/train/x.png")
        assert problems(folder) == (
            "images/train/x.png: is a link that leads nowhere or back to itself",
            "images/train/y.png: is a link that leads nowhere or back to itself",
        )

    def test_a_link_to_a_folder_above_is_not_walked(self, make_folder):
        folder = make_folder()
        (folder / "images/train/up").symlink_to(folder / "images")
        assert problems(folder) == ("images/train/up: is a folder, where an image file is expected",)

    def test_links_within_the_folder_are_followed(self, make_folder):
        folder = make_folder()
        (folder / "images/train/a.png").rename(folder / "stored.png")
        (folder / "images/train/a.png").symlink_to(folder / "stored.png")
        assert check_folder(folder).usable

    def test_the_folder_itself_may_be_a_link(self, make_folder, tmp_path_factory):
        link = tmp_path_factory.mktemp("links") / "data"
        link.symlink_to(make_folder())
        assert check_folder(link).usable


def test_a_folder_below_that_nobody_may_look_into_is_no_suggestion(tmp_path, monkeypatch):
    """As under / in /proc, whoever asks."""
    (tmp_path / "locked" / "images").mkdir(parents=True)
    looked = type(tmp_path).is_dir

    def is_dir(path):
        if path.parent.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(type(tmp_path), "is_dir", is_dir)
    (line,) = check_folder(tmp_path).problems
    assert "no images/ and no masks/; found locked/; " in line
