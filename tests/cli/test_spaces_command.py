import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.cli.main import main
from nas_attn.cli.spaces import count_text, extremes
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.space import read_space
from nas_attn.training.metrics import count_macs, count_parameters

ROOT = Path(__file__).parents[2]
TINY = """\
version: 1
name: tiny
description: to be quick
network: {family: unet, depth: 2, base_channels: 4, image_size: 16}
choices:
  encoder.0: [none, pam]
  bottleneck: [{kind: se, reduction: 4}, {kind: se, reduction: 2, start: identity}]
  skip: [none, gate, eca]
limits: {max_positions: 64, max_macs: 1.5x, max_parameters: 90k}
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_the_list_shows_name_description_and_file(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["spaces"]) == 0
    printed = capsys.readouterr().out
    for name in ("unet_attention", "unet_attention_skips", "unet_attention_small"):
        assert f"search_spaces/{name}.yaml" in printed
    assert "Attention on the four skip connections only" in printed


def test_the_list_imports_neither_torch_nor_statistics(tmp_path):
    code = (
        "import sys; from nas_attn.cli.main import main; status = main(['spaces']); "
        "sys.exit(status or ' '.join(sys.modules.keys() & {'torch', 'optuna', 'scipy', 'nas_attn.analysis'}) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "unet_attention_small" in done.stdout


def test_a_space_is_shown_with_choices_sizes_limits_and_number_of_placements(capsys, tiny):
    assert main(["spaces", str(tiny)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "location C HxW none eca gate pam se" in lines
    assert "encoder.0 4 16x16 ✓ · · ✗ ·" in lines
    assert "bottleneck 16 4x4 · · · · reduction=4" in lines
    assert "reduction=2, start=identity" in lines
    assert "skip.1 8 8x8 ✓ ✓ ✓ · ·" in lines
    assert "pam dropped at encoder.0: H*W is over max_positions of 64" in lines
    assert "placements: 18" in lines
    assert "ceiling: max_parameters 90,000; placements above it are never trained" in lines


def test_flags_replace_what_the_file_says(capsys, tiny):
    flags = ["--base-channels", "8", "--image-size", "8", "--in-channels", "1", "--classes", "4"]
    assert main(["spaces", str(tiny), *flags]) == 0
    printed = capsys.readouterr().out
    assert "8 base channels" in printed
    assert "1 channels in, 4 classes; 8x8 px" in printed
    assert "dropped" not in printed


def test_problems_of_a_file_are_one_line_each_and_the_status_is_2(capsys, tiny):
    tiny.write_text(TINY.replace("gate", "gaet").replace("max_macs", "max_mac"))
    assert main(["spaces", "tiny.yaml"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "nas-attn: error: tiny.yaml: line 8: choices.skip: unknown attention 'gaet'; did you mean 'gate'?",
        "nas-attn: error: tiny.yaml: line 9: limits.max_mac: unknown field; did you mean 'max_macs'?",
    ]


def test_an_unknown_name_has_status_2_and_a_near_name(capsys, tiny):
    assert main(["spaces", "unet_attention_smal"]) == 2
    assert "did you mean 'unet_attention_small'?" in capsys.readouterr().err


@pytest.mark.parametrize("image_size", [16, 13])
def test_the_ends_of_the_costs_are_those_of_counting_every_placement(tiny, image_size):
    space = read_space(tiny, catalogue(), image_size=image_size)
    shape = (1, 3, image_size, image_size)
    counted = {}
    for placement in space.placements():
        module = build_unet(space.network, placement)
        counted[placement] = (count_macs(module, shape), count_parameters(module))
    found = extremes(space)
    for end, expected in ((found.cheapest, min(counted.values())), (found.costliest, max(counted.values()))):
        assert (end.cost.macs, end.cost.parameters) == expected == counted[end.placement]
    assert found.plain.placement == space.plain


def test_the_plain_cost_is_shown_even_where_plain_is_not_in_the_space(tiny):
    space = read_space(tiny, catalogue())
    assert not space.contains(space.plain)
    assert extremes(space).plain.cost.parameters < extremes(space).cheapest.cost.parameters
    assert extremes(replace(space, limits=replace(space.limits, max_macs=None))) == extremes(space)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1"), (999_999, "999,999"), (1_500_000, "1,500,000 (1.5 x 10^6)"), (10**20, f"{10**20:,} (1.0 x 10^20)"),
     (199_999_999, "199,999,999 (2.0 x 10^8)")],
)  # fmt: skip
def test_large_counts_are_also_powers_of_ten(number, text):
    assert count_text(number) == text
