from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli.main import main


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for part, values in (
            ("images", random.integers(0, 255, (16, 24))),
            ("masks", np.kron(np.eye(4, 6) + np.eye(4, 6, 1), np.ones((4, 4)))),
        ):
            (tmp_path / part / split).mkdir(parents=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / part / split / "a.png")
    (tmp_path / "dataset.yaml").write_text("classes: [soil, plant]")
    return tmp_path


def test_a_sound_folder_is_described(folder, capsys):
    assert main(["data", "check", str(folder)]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    for line in (
        "layout      images/ and masks/, split into train, val, test",
        "declared in dataset.yaml",
        "files       3 .png",
        "images      1 channel of 8 bits",
        "train       1 images (width x height): 1 of 24x16",
        "no problem found",
    ):
        assert line in printed.splitlines()
    assert [cell.strip() for cell in _row(printed, "plant")] == ["plant", *["33.33%", "1"] * 3]


def _row(printed: str, start: str) -> list[str]:
    (line,) = (line for line in printed.splitlines() if line.startswith(start))
    return line.split("│")


def test_every_problem_is_a_line_of_its_own_and_the_status_is_2(folder, capsys):
    (folder / "masks/train/a.png").unlink()
    (folder / "images/val/a.png").write_bytes(b"GIF, no more")
    assert main(["data", "check", str(folder)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("nas-attn: error: ") for line in lines)
    assert any(
        line.startswith("nas-attn: error: images/val/a.png: is not a PNG, JPEG, TIFF, BMP") for line in lines
    )


def test_what_was_found_is_shown_before_the_problems(folder, capsys):
    mask = np.full((16, 24), 7, np.uint8)
    Image.fromarray(mask).save(folder / "masks/test/a.png")
    assert main(["data", "check", str(folder)]) == 2
    printed, errors = capsys.readouterr()
    assert "1 of 24x16" in printed
    assert "no problem found" not in printed
    assert "masks/test/a.png: value 7 is outside the 2 classes (0 soil, 1 plant)" in errors


def test_what_a_search_would_refuse_is_refused(folder, capsys):
    """The network of the default space takes 16 pixels a side; shrunk to 96, 200 x 20 pixels become 96 x 10."""
    for part in ("images", "masks"):
        Image.fromarray(np.zeros((20, 200), np.uint8)).save(folder / part / "val" / "a.png")
    assert main(["data", "check", str(folder), "--longest-side", "full"]) == 0
    capsys.readouterr()
    assert main(["data", "check", str(folder), "--longest-side", "96"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "images too small for a U-Net of depth 4, which needs 16 pixels a side: a is 10x96" in line
    search = ["search", "--data", str(folder), "--longest-side", "96", "--trials", "1", "--precision", "float32"]
    assert main([*search, "--workers", "1"]) == 2
    assert capsys.readouterr().err.splitlines() == [line]


def test_validation_masks_without_a_label_are_refused(folder, capsys):
    (folder / "dataset.yaml").write_text("classes: [soil, plant]\nignore_index: 255")
    Image.fromarray(np.full((16, 24), 255, np.uint8)).save(folder / "masks/val/a.png")
    assert main(["data", "check", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("every pixel of the val masks is ignored (255): nothing can be compared; label some")


def test_a_missing_folder_is_one_line(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nowhere: no such folder" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chek", "."], "ACTION: unknown 'chek'; did you mean 'check'?"),
        (["check", ".", "--longest-sid", "9"], "unknown option '--longest-sid'; did you mean '--longest-side'?"),
        (["check"], "the following arguments are required: FOLDER"),
    ],
)
def test_a_misspelt_word_is_told_the_right_one(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["data", *words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_side_out_of_its_range_is_told(capsys):
    assert main(["data", "check", ".", "--longest-side", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("error: --longest-side: 0 must be a whole number from 4 to 65536, or 'full'")


def test_a_real_set_is_described(shared_data, capsys):
    assert main(["data", "check", str(shared_data / "mini" / "usgra_nerves"), "--longest-side", "full"]) == 0
    printed = capsys.readouterr().out
    assert "images      1 channel of 8 bits" in printed
    assert [cell.strip() for cell in _row(printed, "vessel")][1] == "4.35%"


def test_a_constant_that_would_help_is_named_and_written(folder, capsys):
    for split in ("train", "val", "test"):
        (folder / "masks" / split / "a.png").rename(folder / "masks" / split / "a_gt.png")
    assert main(["data", "check", str(folder)]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert f"""{folder}/dataset.yaml with 'mask_suffix: "_gt"' would read it""" in line
    assert f"'nas-attn data check {folder} --write' writes that" in line
    assert (folder / "dataset.yaml").read_text() == "classes: [soil, plant]"

    assert main(["data", "check", str(folder), "--write"]) == 0
    assert (folder / "dataset.yaml").read_text() == 'classes: [soil, plant]\nmask_suffix: "_gt"\n'
    assert "no problem found" in capsys.readouterr().out


def test_nothing_is_written_where_nothing_is_needed_or_helps(folder, capsys):
    assert main(["data", "check", str(folder), "--write"]) == 0
    assert "nothing was written: no dataset.yaml is needed" in capsys.readouterr().out
    (folder / "images/train/a.png").write_bytes(b"x")
    assert main(["data", "check", str(folder), "--write"]) == 2
    assert "nothing was written: no dataset.yaml would make it readable" in capsys.readouterr().out
    assert (folder / "dataset.yaml").read_text() == "classes: [soil, plant]"


def test_many_lines_of_one_cause_are_told_by_two(folder, capsys):
    for number in range(40):
        Image.fromarray(np.full((16, 24), number, np.uint8)).save(folder / f"images/train/more{number}.png")
    assert main(["data", "check", str(folder)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith("pairing: and 38 more like these two")


def test_a_foreground_metric_needs_foreground_to_judge(folder, capsys):
    Image.fromarray(np.zeros((16, 24), np.uint8)).save(folder / "masks/val/a.png")
    search = ["search", "--data", str(folder), "--trials", "1", "--precision", "float32", "--workers", "1"]
    assert main([*search, "--metric", "foreground-iou"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "--metric foreground-iou: no validation mask holds a class but soil; take another metric, or label some"
    )
