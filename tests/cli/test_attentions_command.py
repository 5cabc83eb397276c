"""``nas-attn attentions`` as its user sees it."""

from __future__ import annotations

import re

import pytest
import yaml

from nas_attn.cli._attention_costs import SHALLOW
from nas_attn.cli.main import main
from nas_attn.models.attention import build_attention
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import Family
from nas_attn.models.placement import Stage


def _shown(capsys, *words: str) -> str:
    assert main(["attentions", *words]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return str(output.out)


def test_all_kinds_are_listed_with_what_one_wants_to_know(capsys):
    text = _shown(capsys)
    rows = {name: re.search(rf"(?m)^ {name} .*$", text) for name in catalogue()}
    assert all(rows.values())
    assert re.search(r"anywhere +reduction=16 +1,096 +1\.02 k *$", rows["se"][0])
    assert re.search(r"skip, decoder +variant=common +4,323 +16\.9 M *$", rows["gate"][0])
    assert re.search(r"anywhere +reduction=8 +5,201 +1\.23 G *$", rows["pam"][0])
    assert re.search(r"no attention +anywhere +- +0 +0 *$", rows["none"][0])
    assert all(kind.paper in text for kind in catalogue().values())
    assert all(f"{option.name}=" in text for kind in catalogue().values() for option in kind.options)


def test_nothing_is_broken_across_lines_when_piped(capsys):
    text = _shown(capsys)
    assert max(map(len, text.splitlines())) <= 120
    assert "convolutional block attention module" in text
    assert "\x1b" not in text


def test_one_kind_is_shown_with_its_equation_and_every_option(capsys):
    text = _shown(capsys, "cbam")
    assert text.startswith("cbam: convolutional block attention module\n")
    assert "x' = x * sigmoid(MLP(mean_HW(x)) + MLP(max_HW(x)))" in text
    assert "arXiv:1807.06521" in text
    assert re.search(r"reduction +16 +a whole number of at least 1 +channels over hidden channels", text)
    assert re.search(r"kernel_size +7 +3 \| 7 +side of the spatial convolution", text)
    assert re.search(r"start +neutral +neutral \| paper \| identity +", text)


def test_one_kind_is_shown_with_its_cost_at_a_shallow_and_a_deep_site(capsys):
    text = _shown(capsys, "pam")
    positions = 64 * 64
    macs = positions * (2 * 64 * 8 + 64 * 64) + positions**2 * (8 + 64)
    assert re.search(rf"C=64 on 64x64 +5,201 +{macs:,}", text)
    assert re.search(r"C=256 on 16x16 +82,241 +39,845,888", text)
    assert "Quadratic: its cost grows with (H*W)^2" in text
    assert "all values of start are the same" in text


def test_gate_says_what_it_needs_and_where_it_may_stand(capsys):
    text = _shown(capsys, "gate")
    assert "Can be placed at: skip, decoder\n" in text
    assert "Needs a gating signal: the decoder feature that enters the level." in text


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_example_lines_can_be_used_in_a_space_file(name, capsys):
    lines = _shown(capsys, name).partition("In a search space file\n")[2]
    ((stage, choices),) = yaml.safe_load(lines)["choices"].items()
    assert "none" in choices
    for choice in choices:
        own = dict(choice) if isinstance(choice, dict) else {"kind": choice}
        kind = catalogue()[own.pop("kind")]
        assert Stage(stage) in kind.stages
        build_attention(kind.spec(own), 8, gate_channels=8, block_channels=8, frames=2)
    assert name == "none" or any(name in str(choice) for choice in choices)


def test_unknown_name_is_one_line_with_the_nearest_kind(capsys):
    assert main(["attentions", "cbm"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "nas-attn: error: unknown attention 'cbm'; did you mean 'cbam'?\n"


def _listed(text: str) -> set[str]:
    return {name for name in catalogue() if re.search(rf"(?m)^ {name} ", text)}


@pytest.mark.parametrize("family", Family, ids=str)
def test_a_family_is_listed_alone(family, capsys):
    text = _shown(capsys, "--family", str(family))
    expected = {name for name, kind in catalogue().items() if kind.family is family}
    assert _listed(text) == expected
    assert f"{len(expected)} of {len(catalogue())} kinds." in text


@pytest.mark.parametrize("stage", Stage, ids=str)
def test_what_may_stand_at_a_stage_is_listed_alone(stage, capsys):
    expected = {name for name, kind in catalogue().items() if stage in kind.stages}
    assert _listed(_shown(capsys, "--stage", str(stage))) == expected


def test_cheap_kinds_are_listed_alone_and_filters_add_up(capsys):
    free = _listed(_shown(capsys, "--max-macs", "0", "--family", "gate"))
    assert free >= {"none", "gct", "ge", "simam", "srm"}
    assert all(SHALLOW.cost(catalogue()[name])[1] == 0 for name in free)
    cheap = _listed(_shown(capsys, "--max-parameters", "1.1k", "--max-macs", "2.5M"))
    assert {"se", "eca", "simam", "soft"} <= cheap
    assert cheap.isdisjoint({"cbam", "bam", "ca", "pam", "dcn"})
    assert "None of the " in _shown(capsys, "--family", "block", "--stage", "skip")


def test_every_wrong_filter_is_named_in_a_line(capsys):
    assert (
        main(["attentions", "--family", "gates", "--stage", "skips", "--max-macs", "-1", "--max-parameters", "1T"])
        == 2
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "nas-attn: error: --family gates: no such family; did you mean 'gate'?",
        "nas-attn: error: --stage skips: no such stage; did you mean 'skip'?",
        "nas-attn: error: --max-macs -1: no count; write 12000, 40k, 2.5M or 1G",
        "nas-attn: error: --max-parameters 1T: no count; write 12000, 40k, 2.5M or 1G",
    ]


def test_a_name_and_a_filter_exclude_one_another(capsys):
    assert main(["attentions", "se", "--stage", "skip"]) == 2
    assert "NAME shows one kind; it cannot be combined" in capsys.readouterr().err


def test_a_convolution_is_compared_with_the_plain_one(capsys):
    text = _shown(capsys, "sk")
    assert "Replaces the second 3x3 convolution of its block" in text
    assert re.search(r"the plain one, C=64 on 64x64 +36,864 +150,994,944", text)
