"""From a word to files: sources with and without weights, and what is left when something fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import nas_attn
from nas_attn.architecture import Architecture, read_architecture, write_architecture
from nas_attn.errors import ExportError, UsageError
from nas_attn.export.agreement import stirred
from nas_attn.export.python import write as writing
from nas_attn.export.save import save
from nas_attn.export.subject import Subject, read_source
from nas_attn.models.catalogue import catalogue
from nas_attn.training.full.weights import read_info, write_weights

Make = Callable[..., Architecture]


@pytest.mark.parametrize("name", ["", "weights.safetensors"])
def test_a_run_is_written_with_its_weights(name: str, run: Path, executed: Callable[..., object]) -> None:
    saved = nas_attn.save(run / name, "best.py")

    assert [(one.format, str(one.path)) for one in saved] == [
        ("python", "best.py"),
        ("weights", "best.safetensors"),
    ]
    assert "equal to the bit" in saved[0].check
    source = Path("best.py").read_text(encoding="utf-8")
    assert 'load("best.safetensors")' in source
    assert "of 16 bits" in source
    assert "longest side of 512 pixels" in source
    images = torch.randn(1, 2, 9, 6)
    with torch.inference_mode():
        ours = nas_attn.load(run)(images)
        theirs = executed(source).load("best.safetensors")(images)  # type: ignore[attr-defined]
    assert torch.equal(ours, theirs)


def test_load_gives_the_weights_of_a_run_and_a_start_for_a_file(run: Path) -> None:
    trained, fresh = nas_attn.load(run), nas_attn.load(run / "architecture.yaml")
    expected = load_file(run / "weights.safetensors")

    assert not trained.training
    assert fresh.training
    assert all(torch.equal(tensor, expected[name]) for name, tensor in trained.state_dict().items())
    assert not torch.equal(fresh.state_dict()["head.weight"], expected["head.weight"])


def test_an_architecture_file_is_written_without_weights(run: Path) -> None:
    saved = nas_attn.save(run / "architecture.yaml", "out", formats=["yaml", "python"])

    assert [str(one.path) for one in saved] == ["out.yaml", "out.py"]
    assert read_architecture("out.yaml", catalogue()) == read_architecture(run / "architecture.yaml", catalogue())
    assert sorted(path.name for path in Path().iterdir()) == ["out.py", "out.yaml", "runs"]


def test_weights_may_be_exported_beside_themselves(run: Path) -> None:
    before = (run / "weights.safetensors").read_bytes()
    nas_attn.save(run, run / "weights.py")

    assert (run / "weights.safetensors").read_bytes() == before


def _foreign_weights(run: Path) -> None:
    Path("mine.safetensors").write_bytes(b"mine")


def _trained_by_us_but_never_exported(run: Path) -> None:
    module = nas_attn.load(run)
    write_weights(Path("mine.safetensors"), module, replace(read_info(run / "weights.safetensors"), seed=7))


def _beside_a_file_of_ones_own(run: Path) -> None:
    _trained_by_us_but_never_exported(run)
    Path("mine.py").write_text('load("mine.safetensors")')


def _foreign_weights_beside_an_export(run: Path) -> None:
    nas_attn.save(run / "architecture.yaml", "mine.py")
    _foreign_weights(run)


def _a_link(run: Path) -> None:
    Path("kept.bin").write_bytes(b"mine")
    Path("mine.safetensors").symlink_to("kept.bin")


@pytest.mark.parametrize(
    "make",
    [
        _foreign_weights,
        _trained_by_us_but_never_exported,
        _beside_a_file_of_ones_own,
        _foreign_weights_beside_an_export,
        _a_link,
    ],
)
def test_weights_that_nobody_named_are_not_replaced(make: Callable[[Path], None], run: Path) -> None:
    make(run)
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    with pytest.raises(ExportError, match=r"mine\.safetensors: the weights of mine\.py would replace it, "):
        nas_attn.save(run, "mine.py")
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_weights_of_an_earlier_export_are_replaced(run: Path) -> None:
    nas_attn.save(run, "mine.py")
    module = nas_attn.load(run)
    write_weights(run / "weights.safetensors", module, replace(read_info(run / "weights.safetensors"), seed=7))
    nas_attn.save(run, "mine.py")
    assert Path("mine.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()


def test_the_same_weights_may_lie_there_already(run: Path) -> None:
    shutil.copy(run / "weights.safetensors", "mine.safetensors")
    nas_attn.save(run, "mine.py")
    assert Path("mine.py").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04\x95", "a pickle"),
        (b"PK\x03\x04", "a pickle"),
        (b"hello", "no safetensors file"),
    ],
)
def test_weights_that_are_none_are_refused(content: bytes, message: str, run: Path) -> None:
    (run / "weights.safetensors").write_bytes(content)

    for source in (run, run / "weights.safetensors"):
        with pytest.raises(ExportError, match=message):
            read_source(str(source))


def test_weights_of_another_architecture_are_refused(run: Path, make_architecture: Make) -> None:
    write_architecture(make_architecture({"skip.0": "cbam"}), run / "architecture.yaml", catalogue())

    with pytest.raises(ExportError, match="belong to the architecture"):
        nas_attn.save(run, "best.py")
    assert not Path("best.py").exists()


def test_an_unfinished_run_says_how_to_go_on(run: Path) -> None:
    (run / "weights.safetensors").unlink()

    with pytest.raises(
        ExportError, match=r"no weights yet; go on with the same 'nas-attn train', or export .*yaml"
    ):
        read_source(str(run))


def test_weights_without_their_architecture_say_what_is_missing(run: Path) -> None:
    (run / "architecture.yaml").unlink()

    with pytest.raises(ExportError, match=r"there is no architecture\.yaml beside it"):
        read_source(str(run / "weights.safetensors"))


def test_what_is_for_studies_is_refused_for_files(run: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_source(str(run), "best", "sqlite:///x.db")

    assert [problem.split()[0] for problem in caught.value.problems] == ["--pick", "--storage"]


def test_a_file_that_is_no_copy_is_not_written(
    make_architecture: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject(make_architecture({"skip.0": "se"}))
    honest = writing.python_source

    def wrong(*arguments: object) -> str:
        return honest(*arguments).replace(".sigmoid()", ".tanh()")  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "python_source", wrong)
    with pytest.raises(ExportError, match=r"not the same \(largest difference"):
        list(save(subject, {"python": tmp_path / "best.py"}))
    monkeypatch.setattr(writing, "python_source", lambda *words: honest(*words).replace("self.head", "self.tail"))
    with pytest.raises(ExportError, match=r"different weights, the first of them 'head\.bias'"):
        list(save(subject, {"python": tmp_path / "best.py"}))
    assert list(tmp_path.iterdir()) == []


def test_one_format_that_fails_does_not_keep_the_others_away(make_architecture: Make, tmp_path: Path) -> None:
    files = {"python": tmp_path / "no" / "best.py", "yaml": tmp_path / "best.yaml"}
    saved = save(Subject(make_architecture({})), files)

    assert next(saved).format == "yaml"
    with pytest.raises(ExportError, match="there is no folder"):
        next(saved)


def test_a_missing_package_does_not_keep_the_others_away(
    make_architecture: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    saved = save(Subject(make_architecture({})), {"onnx": tmp_path / "best.onnx", "yaml": tmp_path / "best.yaml"})

    assert next(saved).check == "reads back as the same architecture"
    with pytest.raises(ExportError, match=r"pip install 'nas-attn\[onnx\]'"):
        next(saved)
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]


def test_an_older_file_is_replaced_and_a_folder_is_not(make_architecture: Make, tmp_path: Path) -> None:
    (tmp_path / "best.py").write_text("old")
    (tmp_path / "dir.py").mkdir()
    subject = Subject(make_architecture({}))

    (saved,) = save(subject, {"python": tmp_path / "best.py"})
    assert saved.path.read_text(encoding="utf-8").startswith('"""Attention U-Net: baseline (plain U-Net).')
    with pytest.raises(ExportError, match=r"dir\.py: this is a folder"):
        list(save(subject, {"python": tmp_path / "dir.py"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.py", "dir.py"]


def test_the_variance_of_a_channel_that_trained_weights_have_left_at_0_stays_above_it() -> None:
    variances = torch.tensor([0.0, 3.0] * 50)
    assert (stirred({"norm.running_var": variances})["norm.running_var"] > 0).all()
