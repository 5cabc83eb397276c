"""The Python file: stands alone, reads well, and computes what the network computes, to the bit."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nas_attn.architecture import Architecture, Found
from nas_attn.budget import Budget
from nas_attn.export.python.file import python_source
from nas_attn.export.python.runtime import read_tensors
from nas_attn.models.catalogue import KINDS
from nas_attn.models.network import UNetConfig

Make = Callable[..., Architecture]
Check = Callable[[Architecture], None]
Execute = Callable[[str], ModuleType]
PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@pytest.fixture
def assert_same(awake: Callable[[Architecture], nn.Module], executed: Callable[[str], ModuleType]) -> Check:
    """The file's network has the same weights under the same names, and with them the same logits to the bit."""

    def check(architecture: Architecture) -> None:
        network = awake(architecture)
        copy = executed(python_source(architecture, None, "w.safetensors")).build()
        assert list(copy.state_dict()) == list(network.state_dict())
        copy.load_state_dict(network.state_dict())
        with torch.inference_mode():
            for number, height, width in ((2, 7, 9), (1, 32, 37)):
                if min(height, width) >= architecture.network.min_image_size:
                    images = torch.randn(number * architecture.network.frames, 2, height, width)
                    logits = network(images)
                    assert logits.isfinite().all()
                    assert torch.equal(copy.eval()(images), logits)

    return check


def test_every_kind_with_every_choice_computes_the_same_to_the_bit(
    attention: dict[str, str], make_architecture: Make, assert_same: Check
) -> None:
    assert_same(make_architecture(attention))


def test_a_loop_of_three_lines_trains_what_follows_the_steps_or_has_a_loss_of_its_own(
    make_architecture: Make, executed: Execute
) -> None:
    placed = {"encoder.0": "hard", "bottleneck": "dynamic", "decoder.0": "encnet", "encoder.1": "ram"}
    source = python_source(make_architecture(placed), None, "w.safetensors")
    assert "network.begin_step(step, steps)" in source.partition("from __future__")[0]
    torch.manual_seed(0)
    network = executed(source).build()
    images, masks = torch.randn(2, 2, 16, 16), torch.randint(0, 3, (2, 16, 16))
    assert network.attention.bottleneck.temperature == 30
    temperatures = []
    for step in range(11):
        network.begin_step(step, 10)
        logits = network(images)
        loss = nn.functional.cross_entropy(logits, masks) + network.own_loss(masks)
        temperatures.append(network.attention.bottleneck.temperature.item())
    assert temperatures[0] == 30
    assert temperatures[-1] == 1
    loss.backward()
    learns = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.count_nonzero()
    }
    assert "attention.encoder_0.logits.weight" in learns  # hard: only its own loss reaches it
    assert "attention.decoder_0.presence.weight" in learns
    assert any(name.startswith("attention.encoder_1.policy") for name in learns)


def test_a_network_without_such_modules_has_no_such_calls(make_architecture: Make) -> None:
    source = python_source(make_architecture({"skip.0": "gate"}), None, "w.safetensors")
    assert "begin_step" not in source
    assert "Network(" not in source


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_every_form_of_the_network_computes_the_same_to_the_bit(
    norm: str, make_architecture: Make, assert_same: Check
) -> None:
    network = UNetConfig(2, 3, depth=2, base_channels=6, norm=norm, upsampling="bilinear")

    assert_same(make_architecture({"skip.1": "gate(start=identity)"}, network))


@pytest.mark.parametrize("first", range(0, len(KINDS), 10))
def test_kinds_whose_helpers_bear_the_same_names_stand_side_by_side(
    first: int, make_architecture: Make, assert_same: Check
) -> None:
    network = UNetConfig(2, 3, depth=5, base_channels=2)
    kinds = [KINDS[name].kind for name in [*KINDS, *KINDS][first : first + 14]]
    chosen: dict[str, str] = {}
    for kind in kinds:
        places = [str(place) for place in network.locations if place.stage in kind.stages]
        chosen[next(place for place in places if place not in chosen)] = kind.name

    assert_same(make_architecture(chosen, network, image_size=32))


@pytest.fixture(scope="module")
def all_sources(make_architecture: Make) -> dict[str, str]:
    """The file of a network with two attentions of the kind, by its name."""
    sources = {}
    for name in KINDS:
        place, other = ("skip.0", "decoder.1") if KINDS[name].kind.needs_gate else ("encoder.0", "bottleneck")
        start = "" if name == "none" else "(start=identity)"
        architecture = make_architecture({place: name, other: f"{name}{start}"})
        sources[name] = python_source(architecture, None, "w.safetensors")
    return sources


def test_it_imports_nothing_but_pytorch_and_checks_no_options(all_sources: dict[str, str]) -> None:
    for source in all_sources.values():
        imported = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]  # type: ignore[union-attr]
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imported - sys.stdlib_module_names == {"torch"}
        assert "check_" not in source
        assert "AttentionError" not in source
        assert "KIND" not in source


def test_ruff_finds_nothing_to_mend_in_it(all_sources: dict[str, str], tmp_path: Path) -> None:
    if (ruff := shutil.which("ruff")) is None:
        pytest.skip("needs ruff: pip install -e '.[dev]'")
    for name, source in all_sources.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    ours = ["--config", str(PROJECT)]
    for words in (["check", *ours], ["check", "--isolated"], ["format", "--check", *ours]):
        done = subprocess.run([ruff, *words, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_only_what_the_network_needs_is_in_it(make_architecture: Make) -> None:
    plain = python_source(make_architecture({}), None, "w")
    with_se = python_source(make_architecture({"skip.0": "se"}), None, "w")

    assert "class UNet" in plain
    assert "ChannelPerceptron" not in plain
    assert "class SqueezeExcite" in with_se
    assert "class ChannelPerceptron" in with_se
    assert "IdentityStart" not in with_se


def test_it_says_what_goes_in_and_comes_out(make_architecture: Make, executed: Execute) -> None:
    module = executed(python_source(make_architecture({"bottleneck": "se"}), None, "w"))
    pixels = torch.randint(0, 256, (2, 2, 5, 4), dtype=torch.uint8)

    assert module.CLASSES == ("background", "cell", "wall")
    assert "0 background, 1 cell, 2 wall" in module.__doc__
    assert "from 4 pixels up" in module.__doc__
    by_hand = (pixels[:, 0].float() - 120.5) / 30
    torch.testing.assert_close(module.normalise(pixels)[:, 0], by_hand)
    with pytest.raises(ValueError, match="both sides must be at least 4"):
        module.build()(torch.zeros(1, 2, 3, 8))


NASTY = ('"""', "\\", "'''); import os", "{weights}", 'ends with "', "ümlaut ✓", "# noqa")


def test_no_name_can_become_code(make_architecture: Make, executed: Execute) -> None:
    found = Found(
        *("".join(NASTY), "space\\", 'tpe"'), 1, Budget(1, 16, 1), (0,), NASTY[0], "f", "cpu", "0.1", NASTY[4]
    )
    network = UNetConfig(2, len(NASTY), depth=2, base_channels=4)
    architecture = make_architecture({}, network, classes=NASTY, found=found)
    module = executed(python_source(architecture, None, NASTY[0] + ".safetensors"))

    assert module.CLASSES == NASTY
    assert all(text in module.__doc__ for text in NASTY[:2])
    assert set(vars(module)) == set(vars(executed(python_source(replace(architecture, found=None), None, "w"))))


def test_tensors_are_read_as_safetensors_reads_them(tmp_path: Path) -> None:
    tensors = {
        "matrix": torch.randn(3, 4),
        "scalar": torch.tensor(7),
        "half": torch.randn(5).half(),
        "double": torch.randn(2, 1, 2).double(),
    }
    save_file(tensors, tmp_path / "w.safetensors", metadata={"a": "b"})
    torch.save(tensors, tmp_path / "w.pt")
    expected = load_file(tmp_path / "w.safetensors")

    for file in ("w.safetensors", "w.pt"):
        read = read_tensors(tmp_path / file)
        assert {name: (value.dtype, value.shape) for name, value in read.items()} == {
            name: (value.dtype, value.shape) for name, value in expected.items()
        }
        assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"a": nn.Linear(1, 1)}, tmp_path / "w.pt")

    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        read_tensors(tmp_path / "w.pt")


ALONE = """
import json, sys
sys.modules["nas_attn"] = sys.modules["safetensors"] = None  # whoever imports them fails
sys.path.insert(0, sys.argv[1])
import best, torch
network = best.load(sys.argv[1] + "/best.safetensors")
images = torch.arange(2 * 9 * 11, dtype=torch.uint8).view(1, 2, 9, 11)
with torch.inference_mode():
    print(json.dumps(network(best.normalise(images)).flatten().tolist()))
"""


def test_it_runs_where_only_pytorch_is_installed(
    make_architecture: Make, awake: Callable[[Architecture], nn.Module], tmp_path: Path
) -> None:
    architecture = make_architecture({"skip.0": "gate", "encoder.1": "cbam(start=identity)", "decoder.0": "scse"})
    network = awake(architecture)
    save_file(network.state_dict(), tmp_path / "best.safetensors")
    (tmp_path / "best.py").write_text(python_source(architecture, None, "best.safetensors"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    images = torch.arange(2 * 9 * 11, dtype=torch.uint8).view(1, 2, 9, 11).float()
    mean, std = (torch.tensor(values).view(1, 2, 1, 1) for values in (architecture.mean, architecture.std))
    with torch.inference_mode():
        expected = network((images - mean) / std)
    assert torch.equal(torch.tensor(json.loads(done.stdout)), expected.flatten())
