"""Who builds networks that are not ours, and what is said where they cannot be built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.discovery import build_fresh, check_asked, look_at
from nas_attn.models.families import FAMILIES, family_names
from nas_attn.models.families.module import plan_module


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module ``theirs`` of a user's own."""
    module = ModuleType("theirs")
    monkeypatch.setitem(sys.modules, "theirs", module)
    return module


def test_every_family_that_is_named_is_there() -> None:
    assert set(family_names()) == set(FAMILIES)


@pytest.mark.parametrize(
    ("text", "family", "build"),
    [
        ("smp:Unet/resnet34", "smp", "Unet/resnet34"),
        ("monai:BasicUNet", "monai", "BasicUNet"),
        ("nnunet:plans.json", "nnunet", "plans.json"),
        ("my_package.my_model:make", "module", "my_package.my_model:make"),
        ("nonsense", "module", "nonsense"),
    ],
)
def test_a_network_is_read_from_a_word(text: str, family: str, build: str) -> None:
    asked = AskedNetwork.parse(text)
    assert (asked.family, asked.build, str(asked)) == (family, build, text)


def test_a_builder_is_given_the_datas_channels_and_classes(theirs: ModuleType) -> None:
    theirs.make = lambda n_channels, width=8, num_classes=7: nn.Conv2d(n_channels, num_classes, width)
    builder = plan_module(AskedNetwork("module", "theirs:make", {"width": 3}), 4, 5)
    assert builder.arguments == {"n_channels": 4, "num_classes": 5, "width": 3}


def test_what_a_person_says_goes_before_the_data(theirs: ModuleType) -> None:
    theirs.make = lambda in_channels, classes: nn.Conv2d(in_channels, classes, 1)
    assert plan_module(AskedNetwork("module", "theirs:make", {"classes": 1}), 4, 5).arguments["classes"] == 1


def fail(**_: object) -> nn.Module:
    raise ValueError("width must be even\nand more")


WRITE = "write arguments: {depth: ..., width: ...} in a network file"
NAME = "name the class or function that builds it, so that every run gets its own"


@pytest.mark.parametrize(
    ("thing", "problem"),
    [
        (fail, "theirs:make cannot be built: ValueError: width must be even"),
        (lambda: 3, "theirs:make gives int and no torch.nn.Module"),
        (lambda depth, width: None, f"theirs:make: asks for depth, width; {WRITE}"),
        (nn.Conv2d(1, 1, 1), f"theirs:make is an instance of a network; {NAME}"),
        (3, "theirs:make is int; name a class or function that builds one"),
    ],
)  # fmt: skip
def test_what_builds_no_network_is_told_in_one_line(theirs: ModuleType, thing: object, problem: str) -> None:
    theirs.make = thing
    with pytest.raises(NetworkError) as caught:
        build_fresh(AskedNetwork("module", "theirs:make"), 3, 2, seed=0)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        ("theirs", "'theirs' is not a network; write my_package.my_model:make, or smp:Unet/resnet34"),
        (
            "nowhere.at_all:make",
            "network 'nowhere.at_all:make': there is no module 'nowhere'; install the package",
        ),
        ("theirs:mke", "network 'theirs:mke': theirs has no 'mke'; did you mean 'make'?"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(theirs: ModuleType, build: str, problem: str) -> None:
    theirs.make = nn.Conv2d
    with pytest.raises(NetworkError) as caught:
        build_fresh(AskedNetwork("module", build), 3, 2, seed=0)
    assert caught.value.problems[0].startswith(problem)


def test_an_argument_that_nothing_takes_is_told(theirs: ModuleType) -> None:
    theirs.make = lambda depth=3: nn.Conv2d(1, 1, depth)
    with pytest.raises(NetworkError, match=r"theirs:make: takes no argument 'dpth'; did you mean 'depth'\?"):
        build_fresh(AskedNetwork("module", "theirs:make", {"dpth": 3}), 3, 2, seed=0)


def test_all_that_is_wrong_is_told_at_once(theirs: ModuleType) -> None:
    theirs.make = 3
    with pytest.raises(NetworkError) as caught:
        check_asked(AskedNetwork("module", "theirs:make", weights="gone.pt"))
    assert len(caught.value.problems) == 2


def test_a_seed_gives_the_same_network_and_leaves_the_stream_alone(small_unet: type[nn.Module]) -> None:
    asked = AskedNetwork.parse("small_unet:SmallUNet")
    state = torch.get_rng_state()
    first, second, other = (build_fresh(asked, 3, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.enc0[0].weight, second.enc0[0].weight)
    assert not torch.equal(first.enc0[0].weight, other.enc0[0].weight)


def test_a_library_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(NetworkError, match=r"need it: pip install 'nas-attn\[smp\]'"):
        build_fresh(AskedNetwork.parse("smp:Unet/resnet18"), 3, 2, seed=0)


@pytest.mark.parametrize(
    ("text", "needed", "problem"),
    [
        ("smp:Unt/resnet18", "segmentation_models_pytorch", "has no network 'Unt'; did you mean 'Unet'?"),
        ("smp:Unet/resnt18", "segmentation_models_pytorch", "has no encoder 'resnt18'; did you mean 'resnet18'?"),
        ("monai:BasicUNt", "monai", "MONAI has no network 'BasicUNt'; did you mean 'BasicUNet'?"),
        ("nnunet:PlainUNet", "dynamic_network_architectures", "nnU-Net has no network 'PlainUNet'"),
        ("nnunet:gone.json", "dynamic_network_architectures", "gone.json: cannot be read as nnU-Net's plans"),
    ],
)
def test_typing_mistakes_in_libraries_are_told(text: str, needed: str, problem: str) -> None:
    pytest.importorskip(needed)
    with pytest.raises(NetworkError) as caught:
        build_fresh(AskedNetwork.parse(text), 3, 2, seed=0)
    assert problem in caught.value.problems[0]


def plans(path: Path, conv: str = "torch.nn.modules.conv.Conv2d") -> Path:
    """A plans file as nnUNetv2_plan_and_preprocess (2.5) writes it, the parts that matter."""
    arguments = {
        "n_stages": 4, "features_per_stage": [8, 16, 32, 64], "conv_op": conv,
        "kernel_sizes": [[3, 3]] * 4, "strides": [[1, 1], [2, 2], [2, 2], [2, 2]], "n_conv_per_stage": [2] * 4,
        "n_conv_per_stage_decoder": [2] * 3, "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }  # fmt: skip
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    path.write_text(json.dumps({"configurations": {"2d": {"architecture": architecture}}}))
    return path


def test_the_network_of_nnunets_plans_is_built(tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures")
    network = look_at(AskedNetwork("nnunet", str(plans(tmp_path / "plans.json")))).network
    assert [network.channels_at(location) for location in network.locations[:4]] == [8, 16, 32, 64]


def test_a_plans_file_cannot_name_code_of_others(tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures")
    path = plans(tmp_path / "plans.json", conv="os.system")
    with pytest.raises(NetworkError, match=r"the plans name os.system, which is neither of torch nor of"):
        build_fresh(AskedNetwork("nnunet", str(path)), 3, 2, seed=0)


def test_json_that_is_no_plans_file_says_what_would_be(tmp_path: Path) -> None:
    pytest.importorskip("dynamic_network_architectures")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(NetworkError, match=r"has no configurations.2d.architecture; give the plans file"):
        build_fresh(AskedNetwork("nnunet", str(tmp_path / "a.json")), 3, 2, seed=0)


def test_without_a_connection_imagenet_weights_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(NetworkError, match=r"weights: imagenet: they are not in this machine's cache") as caught:
        look_at(AskedNetwork("smp", "Unet/resnet18", weights="imagenet"))
    assert len(caught.value.problems) == 1
