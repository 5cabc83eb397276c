"""A network of a user's own, from its checkpoint through a search and back into the user's own script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import nas_attn
from nas_attn.cli.main import main
from nas_attn.errors import ExportError, NetworkError, UsageError
from nas_attn.study.setup.find import open_study
from tests.searching import search_here

EXAMPLE = Path(__file__).parents[1] / "examples" / "your_network"
NAME = "small_unet:SmallUNet"
SEARCH = ("--network", NAME, "--image-size", "16", "--batch-size", "2", "--steps", "4", "--device", "cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_unet: type[nn.Module]) -> Iterator[Path]:
    """Few images, and evaluations in this process."""
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch, name="CPU_THEIRS_SYNTHETIC")
    return tmp_path


def search(study: str, trials: int, *more: str) -> None:
    common = ("--study", study, "--trials", str(trials), "--workers", "1", "--precision", "float32")
    assert main(["search", *SEARCH, *common, *more]) == 0


def scores(study: str) -> list[tuple[str, float]]:
    records = open_study(study).records()
    return [(str(record.placement), record.outcome.score.iou) for record in records if record.outcome]


def test_the_same_seed_gives_the_same_study_and_a_stopped_one_goes_on(one_thread: None) -> None:
    search("whole", 7)
    search("parted", 3)
    search("parted", 7)
    search("other", 3, "--seed", "5")
    assert scores("parted") == scores("whole")
    assert [iou for _, iou in scores("other")] != [iou for _, iou in scores("whole")[:3]]
    assert len(scores("whole")) == 7


def test_all_that_comes_after_a_search_works(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search("mine", 4)
    capsys.readouterr()
    for words in (
        ["rank", "mine"],
        ["report", "mine", "-o", "report.html"],
        ["export", "mine", "--pick", "first", "-o", "first.yaml"],
        ["export", "mine", "--pick", "first", "-o", "first.py"],
        ["export", "mine", "--pick", "first", "-o", "first.pt2"],
        ["export", "mine", "--pick", "first", "-o", "first.md"],
        ["train", "first.yaml", "--data", "synthetic", "--epochs", "1", "-o", "run"],
    ):
        assert main(words) == 0, words
    printed = capsys.readouterr().out
    assert "first.py: equal to the bit" in printed
    assert "first.pt2: any size from" in printed
    assert "in multiples of 8" in printed
    assert NAME in Path("report.html").read_text(encoding="utf-8")
    assert NAME in Path("first.md").read_text(encoding="utf-8")

    model = nas_attn.load("run")
    inserted = nas_attn.insert(_small_unet(3), "run")
    images = torch.randn(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), inserted.eval()(images))


REPLACING = """\
version: 1
name: replacing
network: {family: module, build: "small_unet:SmallUNet"}
choices: {encoder: [none, sk, dcn], bottleneck: [none, ran], decoder: [none, {kind: dynamic, start: identity}]}
"""


def test_parts_of_it_are_replaced_in_a_search_a_training_and_the_users_own_object(
    here: Path, one_thread: None
) -> None:
    Path("space.yaml").write_text(REPLACING)
    space = ("--space", "space.yaml")
    search("whole", 5, *space)
    search("parted", 3, *space)
    search("parted", 5, *space)
    assert scores("parted") == scores("whole")
    placements = [record.placement for record in open_study("whole").records()]
    picked = next(one.id for one in placements if any(spec.kind == "sk" for _, spec in one))
    assert main(["export", "whole", "--pick", f"id:{picked}", "-o", "best.yaml"]) == 0
    assert main(["train", "best.yaml", "--data", "synthetic", "--epochs", "1", "-o", "run"]) == 0

    model = _small_unet(3).eval()
    before, plain = {name: one.clone() for name, one in model.state_dict().items()}, list(model.state_dict())
    images = torch.randn(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(nas_attn.load("run").eval()(images), nas_attn.insert(model, "run").eval()(images))
    nas_attn.remove(model)
    assert list(model.state_dict()) == plain
    fresh = _small_unet(3).eval()
    fresh.load_state_dict(before)
    nas_attn.remove(nas_attn.insert(fresh, "best.yaml"))
    assert all(torch.equal(one, before[name]) for name, one in fresh.state_dict().items())


def _small_unet(classes: int) -> nn.Module:
    network: nn.Module = sys.modules["small_unet"].SmallUNet(n_classes=classes)
    return network


def test_the_winner_goes_into_the_users_own_script(here: Path) -> None:
    search("mine", 3)
    assert main(["export", "mine", "--pick", "first", "-o", "first.yaml"]) == 0
    script = [sys.executable, str(EXAMPLE / "train.py")]
    environment = {**os.environ, "PYTHONPATH": f"{EXAMPLE}{os.pathsep}{Path(nas_attn.__file__).parents[1]}"}
    printed = []
    for words in (["model.pt"], ["better.pt", "first.yaml"]):
        done = subprocess.run([*script, *words], env=environment, capture_output=True, text=True, cwd=here)
        assert (done.returncode, done.stderr) == (0, "")
        printed.append(done.stdout)
    plain, attended = (torch.load(name, weights_only=True) for name in ("model.pt", "better.pt"))
    assert set(plain) < set(attended)
    assert {name.partition(".")[0] for name in set(attended) - set(plain)} == {"nas_attention"}
    assert sum("nas-attn" in line for line in (EXAMPLE / "train.py").read_text().splitlines()[10:]) == 3


def test_a_search_begins_at_the_users_checkpoint(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": _small_unet(2).state_dict()}, "trained.ckpt")
    search("mine", 2, "--weights", "trained.ckpt")
    assert f"{NAME}, weights: trained.ckpt" in capsys.readouterr().out
    identity = open_study("mine").identity
    assert len(identity["space"]["network"]["weights_sha256"]) == 64
    assert identity["space"]["start"] == "identity"
    assert identity["recipe"]["encoder_share"] == 0.1


def test_the_same_from_python(small_unet: type[nn.Module]) -> None:
    result = nas_attn.search(
        network=small_unet, trials=2, study="mine", image_size=16, batch_size=2, steps=2, device="cpu", workers=1
    )
    assert len(result.records) == 2
    model = small_unet(n_classes=3)
    keys = list(model.state_dict())
    path = Path("first.yaml")
    assert main(["export", "mine", "--pick", "first", "-o", str(path)]) == 0
    assert nas_attn.insert(model, path) is model
    assert nas_attn.remove(model) is model
    assert list(model.state_dict()) == keys
    with pytest.raises(NetworkError, match="has no attention of nas-attn"):
        nas_attn.remove(model)


def test_attention_is_not_put_where_its_places_are_others(small_unet: type[nn.Module]) -> None:
    search("mine", 2)
    assert main(["export", "mine", "--pick", "first", "-o", "first.yaml"]) == 0
    with pytest.raises(NetworkError, match=r"encoder.0: enc0 has 16 channels at 1/1, and had 8 at 1/1"):
        nas_attn.insert(small_unet(width=16), "first.yaml")


def test_attention_of_our_own_network_is_for_our_own_network() -> None:
    assert main(["search", "--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16",
                 "--batch-size", "2", "--steps", "2", "--device", "cpu", "--workers", "1", "--trials", "2",
                 "--study", "ours"]) == 0  # fmt: skip
    with pytest.raises(ExportError, match=r"found in nas-attn's own U-Net"):
        nas_attn.insert(_small_unet(2), "ours")


def make() -> nn.Module:
    return nn.Conv2d(1, 1, 1)


@pytest.mark.parametrize("network", [lambda: make(), make(), 3])
def test_what_workers_cannot_import_is_refused(network: Any) -> None:
    with pytest.raises(UsageError, match="cannot be imported by workers; define the class or function"):
        nas_attn.search(network=network)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--network", "small_unet:SmalUNet"], "small_unet has no 'SmalUNet'; did you mean 'SmallUNet'?"),
        (["--network", NAME, "--weights", "gone.pt"], "gone.pt: there is no such file of weights"),
        (["--weights", "gone.pt"], "--weights gone.pt: nas-attn's own U-Net is trained from scratch"),
        (["--network", NAME, "--base-channels", "8"], "--base-channels 8: only nas-attn's own U-Net has them"),
        (["--network", NAME, "--data", "clips"], "takes still images, and the data are clips"),
        (["--network", "gone.yaml"], "gone.yaml: no such file"),
    ],
)
def test_mistakes_are_one_line_each(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--trials", "2", "--steps", "2", "--device", "cpu", *words]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(told) == 1
    assert problem in told[0]


def test_a_networks_places_are_shown_and_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["network", NAME, "-o", "network.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "dec1(input)[0:16]" in printed
    assert "highway, scconv, sk: in the place of enc0.3 (encoder.0), enc1.3 (encoder.1)" in printed
    assert "ran, stn: around enc0 (encoder.0), enc1 (encoder.1), enc2 (encoder.2), middle (bottleneck)" in printed
    assert "Next: nas-attn search --network network.yaml --data FOLDER" in printed
    assert main(["network", "network.yaml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sites"]["skip.1"]["gate"] == "dec1(input)[16:32]"
    assert "gate" in shown["may_stand"]["skip.1"]
    assert "gate" not in shown["may_stand"]["encoder.1"]
    assert "encoders and the bottleneck have no gating signal" in shown["why_not"]["encoder.1"]["gate"]
    assert {"dcn", "ran"} <= set(shown["may_stand"]["encoder.1"])
    assert "dcn cannot stand at skip" in shown["why_not"]["skip.1"]["dcn"]


def test_a_place_that_was_changed_by_hand_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["network", NAME, "-o", "network.yaml"]) == 0
    text = Path("network.yaml").read_text().replace("bottleneck: middle", "bottleneck: middle.2")
    Path("network.yaml").write_text(text)
    capsys.readouterr()
    assert main(["network", "network.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sites"]["bottleneck"]["at"] == "middle.2"


@pytest.mark.parametrize("words", [["--classes", "1"], ["--in-channels", "0"], ["--weights", "gone.pt"]])
def test_mistakes_in_showing_a_network_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["network", NAME, *words]) == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if "error" in line]) == 1


def test_dropout_draws_the_same_in_every_run(one_thread: None, small_unet: type[nn.Module]) -> None:
    from nas_attn.budget import Budget
    from nas_attn.models.asked_network import AskedNetwork
    from nas_attn.models.discovery import look_at
    from nas_attn.training.evaluation import DataSource, TrainingEvaluator

    class Dropping(small_unet):  # type: ignore[misc, valid-type]
        def __init__(self, in_channels: int = 3, n_classes: int = 2) -> None:
            super().__init__(in_channels, n_classes)
            self.enc0.append(nn.Dropout(0.5))

    module: Any = sys.modules["small_unet"]
    module.Dropping = Dropping
    network = look_at(AskedNetwork.parse("small_unet:Dropping"), 3, 3).network
    evaluate: Callable[..., Any] = TrainingEvaluator(network, DataSource(image_size=16, n_train=8, n_val=4))
    losses = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        losses.append(evaluate(network.plain, Budget(4, 16, 2), 0).curve[-1].loss)
    assert losses[0] == losses[1]
