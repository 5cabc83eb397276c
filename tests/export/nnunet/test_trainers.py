"""nnU-Net's trainers with attention: in its own networks, by its own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import nas_attn.export.nnunet.file as writing
from nas_attn.architecture import Architecture
from nas_attn.errors import ExportError
from nas_attn.export.nnunet.file import trainer_name, write_trainers
from nas_attn.export.nnunet.planned import Placed, PlacedInstead, attend
from nas_attn.export.nnunet.training import AddedLoss, FollowingTrainer
from nas_attn.export.subject import Subject
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.attention.gate import AttentionGate
from nas_attn.models.attention.se import SqueezeExcite
from nas_attn.models.discovery import build_fresh, look_at
from nas_attn.models.insertion import remove_modules

Make = Callable[..., Architecture]
MIXED = {"encoder.1": "se", "bottleneck": "encnet", "skip.0": "gate(start=identity)", "decoder.0": "gate"}
DATASET = "901"


@pytest.fixture
def unet() -> type[nn.Module]:
    return pytest.importorskip(
        "dynamic_network_architectures.architectures.unet", reason="needs the extra 'nnunet'"
    )


def planned(home: object, name: str, **changes: object) -> nn.Module:
    """As nnU-Net plans it, with few features and an output at each level."""
    blocks = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    arguments: dict[str, object] = {
        "input_channels": 1, "num_classes": 3, "n_stages": 4, "features_per_stage": (4, 8, 16, 16),
        "conv_op": nn.Conv2d, "kernel_sizes": 3, "strides": (1, 2, 2, 2), blocks: 1, "n_conv_per_stage_decoder": 1,
        "norm_op": nn.InstanceNorm2d, "norm_op_kwargs": {"affine": True}, "nonlin": nn.LeakyReLU,
        "deep_supervision": True,
    }  # fmt: skip
    torch.manual_seed(0)
    return getattr(home, name)(**{**arguments, **changes}).eval()


class Scale(nn.Module):
    """Multiplies by a number of its own, and keeps what it saw."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        self.seen, self.gate = x, gate
        return self.by * x


def by_hand(network: nn.Module, images: Tensor, by: Mapping[str, float]) -> list[Tensor]:
    """The forward pass of a planned U-Net, written anew, with a factor at each location."""
    encoder, decoder, x, skips = network.encoder, network.decoder, images, []
    stem = getattr(encoder, "stem", None)
    x = x if stem is None else stem(x)
    for level, stage in enumerate(encoder.stages):
        deepest = level == len(encoder.stages) - 1
        x = stage(x) * by["bottleneck" if deepest else f"encoder.{level}"]
        skips.append(x)
    scores = []
    for number, (up, stage) in enumerate(zip(decoder.transpconvs, decoder.stages, strict=True)):
        level = len(decoder.stages) - 1 - number
        x = stage(torch.cat([up(x), skips[level] * by[f"skip.{level}"]], 1)) * by[f"decoder.{level}"]
        scores.append(decoder.seg_layers[number](x))
    return scores[::-1]


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_attention_stands_where_its_location_says(name: str, unet: type[nn.Module]) -> None:
    places = [
        "bottleneck",
        *(f"{stage}.{level}" for stage in ("encoder", "skip", "decoder") for level in range(3)),
    ]
    by = {place: 0.5 + 0.25 * number for number, place in enumerate(places)}
    network, images = planned(unet, name), torch.randn(2, 1, 32, 48)
    keys = list(network.state_dict())
    with torch.no_grad():
        expected = by_hand(network, images, by)
        attend(network, {place: Placed(lambda *_, f=factor: Scale(f)) for place, factor in by.items()})
        given = network(images)

    assert len(given) == 3
    assert all(torch.equal(one, other) for one, other in zip(given, expected, strict=True))
    assert list(network.state_dict()) == keys


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_network_without_attention_is_the_planned_one(name: str, unet: type[nn.Module]) -> None:
    images = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        plain, attended = planned(unet, name)(images), attend(planned(unet, name), {})(images)
    assert all(torch.equal(one, other) for one, other in zip(plain, attended, strict=True))


def test_a_gate_is_given_the_upconvolved_feature(unet: type[nn.Module]) -> None:
    network, given = planned(unet, "PlainConvUNet"), []
    network.decoder.transpconvs[2].register_forward_hook(lambda _, __, output: given.append(output))
    attend(network, {place: Placed(lambda *_: Scale(2.0), gated=True) for place in ("skip.0", "decoder.0")})
    network(torch.randn(1, 1, 32, 32))
    assert all(torch.equal(one.gate, given[0]) for one in network.nas_attention.children())


def test_modules_are_made_for_the_planned_channels_and_learn(unet: type[nn.Module]) -> None:
    placed = {
        "skip.2": Placed(lambda c, g, _: AttentionGate(c, g), gated=True),
        "encoder.1": Placed(lambda c, *_: SqueezeExcite(c)),
    }
    network = attend(planned(unet, "PlainConvUNet"), placed).train()
    sum(one.square().sum() for one in network(torch.randn(2, 1, 32, 32))).backward()
    assert network.nas_attention["skip_2"].gate.from_input[0].in_channels == 16
    assert all(one.grad is not None for one in network.nas_attention.parameters())


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({}, "skip.3", "nnU-Net planned levels 0 to 2 for this data, .* it shall stand at skip.3"),
        (
            {"conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d},
            "skip.0",
            "for U-Nets of nnU-Net's configuration 2d",
        ),
    ],
)
def test_a_plan_that_lacks_a_place_is_refused(
    changes: dict[str, object], place: str, message: str, unet: type[nn.Module]
) -> None:
    with pytest.raises(ValueError, match=message):
        attend(planned(unet, "PlainConvUNet", **changes), {place: Placed(lambda *_: Scale(1.0))})


def test_the_file_is_compared_in_nnunets_network(
    unet: type[nn.Module], make_architecture: Make, tmp_path: Path
) -> None:
    architecture = make_architecture(MIXED)
    said = write_trainers(Subject(architecture), tmp_path / "best_nnunet.py")
    text = (tmp_path / "best_nnunet.py").read_text(encoding="utf-8")

    assert said.startswith(
        f"trainers {trainer_name(architecture)} and nnUNetTrainerAttentionBaseline; in nnU-Net's "
    )
    assert "PlainConvUNet equal to the bit" in said
    assert "class nnUNetTrainerAttentionBaseline(nnUNetTrainer):" in text
    assert f"class {trainer_name(architecture)}(FollowingTrainer, nnUNetTrainer):" in text  # encnet has a loss
    assert "import nas_attn" not in text
    assert "from nas_attn" not in text


REPLACING = {
    "encoder.0": "ran",
    "encoder.1": "dcn",
    "bottleneck": "stn",
    "skip.0": "se",
    "decoder.0": "sk(start=identity)",
    "decoder.1": "ran(start=identity)",
}


def test_what_takes_the_place_of_a_convolution_or_goes_around_a_block(
    unet: type[nn.Module], make_architecture: Make, tmp_path: Path
) -> None:
    said = write_trainers(Subject(make_architecture(REPLACING)), tmp_path / "best_nnunet.py")
    assert "PlainConvUNet equal to the bit" in said

    text = (tmp_path / "best_nnunet.py").read_text(encoding="utf-8")
    assert 'part="convolution")' in text
    assert 'part="convolution", around=True)' in text
    assert 'part="block", around=True)' in text
    write_trainers(Subject(make_architecture({"skip.0": "se"})), tmp_path / "simple.py")
    assert "PlacedInstead" not in (tmp_path / "simple.py").read_text(encoding="utf-8"), "where nothing needs it"


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
@pytest.mark.parametrize("part", ["convolution", "block"])
def test_the_part_of_a_planned_network_is_the_one_that_a_search_replaces(
    part: str, name: str, unet: type[nn.Module]
) -> None:
    asked = AskedNetwork("nnunet", name, {"n_stages": 3, "features_per_stage": (4, 8, 8), "strides": (1, 2, 2)})
    found = {str(site.location): site for site in look_at(asked, 1, 2).network.found if site.block}
    network = build_fresh(asked, 1, 2, seed=0)
    entering = {}

    def make(place: str) -> Callable[[int, int, int], nn.Module]:
        def scale(_: int, block_channels: int, __: int) -> nn.Module:
            entering[place] = block_channels
            return Scale(1.0)

        return scale

    attend(network, {place: PlacedInstead(make(place), part=part, around=True) for place in found})
    replaced = {name for name, module in network.named_modules() if "forward" in vars(module)}
    assert replaced == {site.block if part == "block" else site.convolution for site in found.values()}
    assert entering == {place: site.block_channels for place, site in found.items()}
    assert len(found) == 5


@pytest.mark.parametrize("part", ["convolution", "block"])
def test_a_planned_network_without_the_part_is_refused(part: str, unet: type[nn.Module]) -> None:
    """Each of its stages is one convolution, which halves the map."""
    with pytest.raises(ValueError, match=f"nnU-Net planned no {part} at encoder.1 that keeps the size of its map"):
        attend(planned(unet, "PlainConvUNet"), {"encoder.1": PlacedInstead(lambda *_: Scale(1.0), part=part)})


def test_a_convolution_that_is_replaced_trains_no_more_and_comes_back(unet: type[nn.Module]) -> None:
    network = planned(unet, "PlainConvUNet", n_conv_per_stage=2)
    keys, images = list(network.state_dict()), torch.randn(2, 1, 32, 32)
    n_parameters = len(list(network.parameters()))
    with torch.no_grad():
        before = network(images)
    attend(network, {"encoder.1": PlacedInstead(lambda c, *_: nn.Conv2d(c, c, 3, padding=1, bias=False))})
    assert len(list(network.parameters())) == n_parameters, "one idle, one new"
    assert {*keys} < {*network.state_dict()}
    assert not torch.equal(network(images)[0], before[0])

    assert remove_modules(network)
    with torch.no_grad():
        assert all(torch.equal(one, other) for one, other in zip(network(images), before, strict=True))
    assert {*network.state_dict()} == {*keys}


def test_attention_that_differs_is_not_written(
    unet: type[nn.Module], make_architecture: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = writing.trainer_source(make_architecture({"skip.0": "se"}))
    changed = type(source)(
        **{**vars(source), "attention": source.attention.replace("x.mean((2, 3))", "x.amax((2, 3))")}
    )
    assert changed != source
    monkeypatch.setattr(writing, "trainer_source", lambda _: changed)
    with pytest.raises(ExportError, match="not written: the file's attention is not the same"):
        write_trainers(Subject(make_architecture({"skip.0": "se"})), tmp_path / "best_nnunet.py")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("placed", "problems"),
    [
        ({}, ["nnunet: this placement has no attention, and the baseline is nnU-Net's own trainer"]),
        ({"bottleneck": "tam"}, ["nnunet: bottleneck: tam looks at the frames of a clip"]),
    ],
    ids=["none", "clips"],
)
def test_what_cannot_stand_in_a_planned_network_is_refused(
    placed: dict[str, str], problems: list[str], make_architecture: Make, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as caught:
        write_trainers(Subject(make_architecture(placed)), tmp_path / "best_nnunet.py")
    assert len(caught.value.problems) == len(problems)
    assert all(one.startswith(start) for one, start in zip(caught.value.problems, problems, strict=True))


def test_a_name_that_nnunet_would_pass_over_is_refused(make_architecture: Make, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no file with a dot in its name; write -o .*v1_2_nnunet\.py"):
        write_trainers(Subject(make_architecture({"skip.0": "se"})), tmp_path / "v1.2_nnunet.py")


class Asking(nn.Module):
    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        self.masks, self.scores = masks, scores
        return torch.tensor(2.0)


class Plain(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().mean()


def test_a_loss_of_ones_own_is_added_in_training_only() -> None:
    module = Asking()
    loss = AddedLoss(Plain(), [module], ignored=2)
    labels = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    logits = torch.tensor([[[[9.0, -9.0, 5.0]], [[-9.0, 9.0, -5.0]]]])
    plain = (labels - logits).abs().mean()

    assert loss(logits, labels) == plain + 2
    assert module.masks.tolist() == [[[0, 1, 255]]]
    torch.testing.assert_close(module.scores, torch.ones(1))  # both pixels that count are right
    module.eval()
    assert loss(logits, labels) == plain


class Told(nn.Module):
    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        self.told = (*getattr(self, "told", ()), (step.item(), steps))


class Base:
    """What a trainer of nnU-Net has, of which ``FollowingTrainer`` makes use."""

    num_iterations_per_epoch, num_epochs, current_epoch, device = 3, 2, 0, torch.device("cpu")

    def on_train_epoch_start(self) -> None:
        pass

    def train_step(self, batch: dict[str, object]) -> dict[str, object]:
        return batch


def test_a_module_is_told_each_step_of_the_whole_training() -> None:
    trainer = type("Trainer", (FollowingTrainer, Base), {})()
    trainer.network = nn.Sequential(Told())
    for trainer.current_epoch in range(2):
        trainer.on_train_epoch_start()
        assert [trainer.train_step({"data": number}) for number in range(3)] == [{"data": n} for n in range(3)]
    assert trainer.network[0].told == tuple((number, 6) for number in range(6))


SHORT = """\
import torch
import best_nnunet

class Short:
    def initialize(self):
        torch.set_num_threads(1)
        self.num_epochs, self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 2, 2, 1
        super().initialize()

    def perform_actual_validation(self, save_probabilities=False):
        pass

class ShortAttention(Short, best_nnunet.{trainer}):
    pass

class ShortBaseline(Short, best_nnunet.nnUNetTrainerAttentionBaseline):
    pass
"""


def _toy(folder: Path) -> None:
    """Six grey images of 32 pixels, with two classes, as nnU-Net wants raw data."""
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((32, 32), np.uint8)
        mask[8 + number : 24, 6:20], mask[12:16, 8:12] = 1, 2
        image = (60 * mask + generator.integers(0, 40, mask.shape)).astype(np.uint8)
        Image.fromarray(image).save(folder / "imagesTr" / f"toy{number}_0000.png")
        Image.fromarray(mask).save(folder / "labelsTr" / f"toy{number}.png")
    Image.fromarray(image).save(folder / "imagesTs" / "new_0000.png")
    labels = {"background": 0, "cell": 1, "wall": 2}
    content = {"channel_names": {"0": "grey"}, "labels": labels, "numTraining": 6, "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.timeout(600)
def test_nnunet_plans_trains_and_predicts_with_it(make_architecture: Make, tmp_path: Path) -> None:
    pytest.importorskip("nnunetv2", reason="needs pip install nnunetv2")
    raw, trainers = tmp_path / "raw", tmp_path / "trainers"
    _toy(raw / f"Dataset{DATASET}_Toy")
    architecture = make_architecture({**MIXED, "encoder.0": "dcn", "encoder.1": "ran", "decoder.1": "hard"})
    trainers.mkdir()
    write_trainers(Subject(architecture), trainers / "best_nnunet.py")
    (trainers / "short.py").write_text(SHORT.format(trainer=trainer_name(architecture)), encoding="utf-8")
    results = tmp_path / "results"
    folders = {"nnUNet_raw": raw, "nnUNet_preprocessed": tmp_path / "prepared", "nnUNet_results": results}

    def nnunet(command: str, processes: int = 0) -> None:
        settings = {"nnUNet_extTrainer": trainers, "nnUNet_n_proc_DA": processes, "OMP_NUM_THREADS": 1, **folders}
        environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
        name, *arguments = command.split()
        done = subprocess.run(
            [str(Path(sys.executable).with_name(name)), *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    nnunet(f"nnUNetv2_plan_and_preprocess -d {DATASET} -c 2d -np 1 -npfp 1", processes=1)
    kept = {}
    for trainer in ("ShortAttention", "ShortBaseline"):
        nnunet(f"nnUNetv2_train {DATASET} 2d 0 -tr {trainer} -device cpu")
        (path,) = results.glob(f"*/{trainer}__nnUNetPlans__2d/fold_0/checkpoint_final.pth")
        kept[trainer] = torch.load(path, weights_only=False)
    attended, plain = kept["ShortAttention"]["network_weights"], kept["ShortBaseline"]["network_weights"]
    assert [name for name in attended if not name.startswith("nas_attention.")] == list(plain)
    assert {name.split(".")[1] for name in attended if name not in plain} == {
        "encoder_0", "encoder_1", "bottleneck", "skip_0", "decoder_0", "decoder_1",
    }  # fmt: skip
    assert all(len(one["logging"]["train_losses"]) == 2 for one in kept.values())
    assert all(np.isfinite(one["logging"]["train_losses"]).all() for one in kept.values())

    new = f"-i {raw}/Dataset{DATASET}_Toy/imagesTs -o {tmp_path}/predicted --disable_tta -npp 1 -nps 1 -device cpu"
    nnunet(f"nnUNetv2_predict {new} -d {DATASET} -c 2d -f 0 -tr ShortAttention")
    assert np.asarray(Image.open(tmp_path / "predicted" / "new.png")).shape == (32, 32)
