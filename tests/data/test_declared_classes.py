from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.data import check_folder, read_folder
from nas_attn.data.problem import printable

NAMES = [f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"]


def everywhere(*rows: list[int]) -> dict[str, np.ndarray]:
    """The same 6 x 8 mask for all images, of the given rows in turn."""
    mask = np.array([rows[index % len(rows)] for index in range(6)])
    return dict.fromkeys(NAMES, np.repeat(mask, 8 // mask.shape[1], axis=1).astype(np.uint8))


class TestInference:
    def test_values_from_zero_are_numbered_classes(self, make_folder):
        report = check_folder(make_folder(classes=4))
        assert report.classes == ("background", "class1", "class2", "class3")
        assert any("classes were inferred" in note for note in report.notes)

    def test_255_beside_indices_must_be_declared(self, make_folder):
        folder = make_folder(masks=everywhere([0, 1], [1, 255]))
        assert check_folder(folder).problems == (
            "the training masks hold the values 0, 1, 255; if 255 marks pixels to ignore, "
            "write 'ignore_index: 255' into dataset.yaml",
        )
        (folder / "dataset.yaml").write_text("ignore_index: 255")
        dataset = read_folder(folder)
        assert dataset.classes == ("background", "foreground")
        assert dataset.train.masks[0, :2, ::4].tolist() == [[0, 1], [1, 255]]
        (train, *_) = check_folder(folder).splits
        assert train.ignored_share == pytest.approx(1 / 4)
        assert train.class_shares == pytest.approx((1 / 3, 2 / 3))

    def test_a_seven_among_two_classes_is_one_line_with_its_file(self, make_folder):
        mask = np.arange(48).reshape(6, 8).astype(np.uint8) % 2
        mask[0, 0] = 7
        folder = make_folder(masks={"train/b": mask})
        (line,) = check_folder(folder).problems
        assert line == (
            "the training masks hold the values 0, 1, 7; class indices run from 0 without a gap; "
            "if the values are meant, name them in dataset.yaml, as mask_values: {0: background, 128: nucleus}; "
            "only masks/train/b.png holds 7"
        )

    def test_a_seven_outside_training_is_one_line_with_its_file(self, make_folder):
        mask = np.arange(48).reshape(6, 8).astype(np.uint8) % 2
        mask[0, 0] = 7
        assert check_folder(make_folder(masks={"val/b": mask})).problems == (
            "masks/val/b.png: value 7 is outside the 2 classes (0 background, 1 foreground); "
            "values found: 0, 1, 7",
        )

    def test_one_value_is_no_task(self, make_folder):
        assert check_folder(make_folder(classes=1)).problems == (
            "the training masks hold only the value 0; at least two classes are needed",
        )

    def test_smoothed_masks_are_told_with_some_of_their_values(self, make_folder):
        folder = make_folder(masks={"train/a": np.arange(0, 96, 2).reshape(6, 8).astype(np.uint8)})
        (line,) = check_folder(folder).problems
        assert "hold the values 0, 1, 2, 4, 6, 8, 10, 12, 14, 16 and 39 more" in line


class TestDeclaration:
    def declared(self, folder, text):
        (folder / "dataset.yaml").write_text(text)
        return check_folder(folder)

    def test_all_problems_of_the_file_are_told_at_once(self, make_folder):
        report = self.declared(
            make_folder(),
            "clases: [a, b]\nignore_index: many\nin_channels: 0\nmask_values: {x: a}\n"
            "splits: {tain: [a]}\nname: [a]",
        )
        assert report.problems == (
            "dataset.yaml: line 1: clases: unknown field; did you mean 'classes'?",
            "dataset.yaml: line 2: ignore_index: 'many' must be a whole number from 0 to 65535",
            "dataset.yaml: line 3: in_channels: '0' must be a whole number from 1 to 4096",
            "dataset.yaml: line 4: mask_values: {'x': 'a'} must be as {0: background, 255: nucleus}",
            "dataset.yaml: line 5: splits.tain: unknown field; did you mean 'train'?",
            "dataset.yaml: line 6: name: ['a'] must be a text",
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("classes: background", "classes: 'background' must be a list of names"),
            ("classes: [a]", "classes: 1 names; from 2 to 254 are possible"),
            ("classes: [a, b, a]", "classes: names a more than once"),
            ("classes: [a, b]\nmask_values: {0: a, 1: c}", "mask_values.1: unknown class 'c'; known: a, b"),
            ("classes: [a, b]\nignore_index: 1", "ignore_index: 1 is also the class 'b'"),
            ("splits: {val: ['../x']}", "splits.val: '../x' points outside the folder"),
            ("splits: {val: [a]}", "the images lie in split folders already"),
            ("- a\n- b", "dataset.yaml: line 1: must be a mapping of name, classes"),
            ("classes: [a, b", "dataset.yaml: line 1, column 15: not valid YAML"),
            (
                "classes: !!python/object/apply:os.mkdir [x]",
                "tags ('tag:yaml.org,2002:python/object/apply:os.mkdir') are not read",
            ),
            ("? [a]\n: b", "a field's name must be a word, not a list or a mapping"),
        ],
    )
    def test_a_wrong_field_is_told_with_what_would_be_right(self, make_folder, text, message):
        assert any(message in line for line in self.declared(make_folder(), text).problems)

    def test_a_problem_is_told_with_the_line_of_what_it_is_about(self, make_folder):
        text = "# of 2026\n\nclasses:\n  - a\n  - b\nmask_values:\n  0: a\n  7: c\nsplits:\n  val: ['../x']\n"
        assert self.declared(make_folder(), text).problems[:2] == (
            "dataset.yaml: line 8: mask_values.7: unknown class 'c'; known: a, b",
            "dataset.yaml: line 10: splits.val: '../x' points outside the folder; give names of files only",
        )

    def test_a_file_that_repeats_itself_by_aliases_is_told_as_quickly(self, make_folder):
        aliases = "\n".join(f"k{n}: *a" for n in range(2000))
        assert not self.declared(make_folder(), f"a: &a {{x: *a}}\n{aliases}").usable

    def test_names_that_yaml_would_turn_into_other_things_stay_names(self, make_folder):
        assert self.declared(make_folder(), "classes: [no, 1]").classes == ("no", "1")

    def test_nothing_said_of_a_field_is_nothing_declared(self, make_folder):
        report = self.declared(make_folder(), "classes: [a, b]\nignore_index: null\nsplits:\n")
        assert report.usable
        assert report.ignore_index is None

    def test_a_class_that_training_lacks_is_refused_and_one_that_val_lacks_is_noted(self, make_folder):
        folder = make_folder(classes=3, masks={f"val/{name}": np.zeros((6, 8), np.uint8) for name in "ab"})
        report = self.declared(folder, "classes: [a, b, c, d]")
        assert report.problems == ("class 'd' is absent from all training masks",)
        assert "class 'b' does not occur in val; the mean there is without it" in report.notes

    def test_zero_and_255_are_the_two_declared_classes(self, make_folder):
        report = self.declared(make_folder(masks=everywhere([0, 255])), "classes: [soil, plant]")
        assert report.usable
        assert "mask value 255 is read as class 1, plant" in report.notes

    def test_255_that_is_ignored_is_no_class(self, make_folder):
        report = self.declared(make_folder(masks=everywhere([0, 255])), "classes: [a, b]\nignore_index: 255")
        assert report.problems == (
            "class 'b' is absent from all training masks; 255 is ignored: remove ignore_index if 255 is a class",
        )

    def test_several_values_may_mean_one_class_and_another_may_be_ignored(self, make_folder):
        folder = make_folder(masks=everywhere([0, 10], [20, 99]))
        assert self.declared(folder, "mask_values: {0: soil, 10: plant, 20: soil}\nignore_index: 99").usable
        assert read_folder(folder).val.masks[0, :2, ::4].tolist() == [[0, 1], [0, 255]]

    def test_a_dataset_json_declares_where_there_is_no_yaml(self, make_folder):
        folder = make_folder()
        (folder / "dataset.json").write_text(
            json.dumps({"name": "x", "classes": ["a", "b"], "counts": {"train": 2}})
        )
        report = check_folder(folder)
        assert (report.name, report.classes, report.declared_in) == ("x", ("a", "b"), "dataset.json")
        assert self.declared(folder, "classes: [c, d]").classes == ("c", "d")

    @pytest.mark.parametrize("text", ['{"labels": {"0": "a"}}', "[1", '{"classes": 3}'])
    def test_a_dataset_json_of_another_program_is_left_out(self, make_folder, text):
        folder = make_folder()
        (folder / "dataset.json").write_text(text)
        report = check_folder(folder)
        assert report.usable
        assert any("dataset.json was left out" in note for note in report.notes)

    def test_a_yml_is_told_its_name(self, make_folder):
        folder = make_folder()
        (folder / "dataset.yml").write_text("classes: [a, b]")
        assert check_folder(folder).problems == ("dataset.yml is not read; rename it to dataset.yaml",)

    def test_splits_that_overlap_or_name_nothing_are_refused(self, save, tmp_path):
        for name in "abc":
            save(tmp_path / "images" / f"{name}.png", np.full((4, 4), ord(name), np.uint8))
            save(tmp_path / "masks" / f"{name}.png", np.eye(4, dtype=np.uint8))
        report = self.declared(tmp_path, "splits: {train: [a, b], val: [b], test: [c, x]}")
        assert report.problems == (
            "dataset.yaml: line 1: splits: test: 'x' names no image that has a mask",
            "dataset.yaml: line 1: splits: 'b' is in train and in val; name it once",
            "there is no image with a mask in val",
        )


@given(st.text())
def test_any_name_is_printed_in_one_printable_line(name):
    assert printable(name).isprintable()


@given(st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), max_size=20))
def test_letters_and_digits_are_printed_as_they_are(name):
    assert printable(name) == name
