from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.architecture import Architecture, read_architecture
from nas_attn.architecture.read import parse_architecture
from nas_attn.architecture.write import architecture_text
from nas_attn.errors import ExportError
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location

Kinds = Mapping[str, AttentionKind]


def problems(text: str, kinds: Kinds) -> tuple[str, ...]:
    with pytest.raises(ExportError) as caught:
        parse_architecture(text, "best.yaml", kinds)
    return caught.value.problems


@pytest.fixture(name="text")
def text_fixture(architecture: Architecture, kinds: Kinds) -> str:
    return architecture_text(architecture, kinds, "best.yaml")


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ("depth: 2", "depht: 2", "depht", "network.depht: unknown field; did you mean 'depth'?"),
        ("depth: 2", "depth: 9", "depth", "network.depth: 9 must be a whole number from 2 to 5"),
        ("norm: batch", "norm: bach", "norm", "network.norm: 'bach' must be batch | group | instance"),
        (
            "kind: se",
            "kind: see",
            "bottleneck",
            "placement.bottleneck: unknown attention 'see'; did you mean 'se'?",
        ),
        ("variant: common", "variant: comon", "skip.0", "gate: variant is 'comon'; it must be common | oktay"),
        ("slope: 0.1", "slop: 0.1", "skip.1", "cbam has no option 'slop'; did you mean 'slope'?"),
        ("residual: false", "residual: 0", "skip.1", "cbam: residual is 0; it must be true | false"),
        ("skip.0: {", "skp.0: {", "skp.0", "placement.skp.0: the network has no such location; did you mean"),
        ("skip.0: {", "skp.0: {", "encoder.0", "placement: no attention for skip.0; write 'kind: none'"),
        (
            "encoder.0: {kind: none}",
            "encoder.0: {kind: gate}",
            "encoder.0",
            "encoders and the bottleneck have no gating signal",
        ),
        ("encoder.0: {kind: none}", "encoder.0: {}", "encoder.0", "field 'kind' is missing or not a word"),
        ("encoder.0: {kind: none}", "encoder.0: [none]", "encoder.0", "is a list; write an attention such as"),
        ("encoder.0: {kind: none}", "encoder.0: 3", "encoder.0", "is 3; write an attention such as"),
        (
            "classes: [background",
            "classes: [3, background",
            "classes: [",
            "classes: 3 must be text",
        ),
        (
            "classes: [background, ",
            "classes: [",
            "classes: [",
            "classes: 1 class names for a network of 2 classes",
        ),
        ("mean: [120.5, ", "mean: [", "mean", "input.mean: 2 values for a network of 3 input channels"),
        ("std: [30.0, ", "std: [0, ", "std", "input.std: must be finite numbers above 0"),
        ("std: [30.0, ", "std: [.inf, ", "std", "inf is not a finite number"),
        ("image_size: 64\n", "image_size: 3\n", "image_size", "is 3; a U-Net of depth 2 needs at least 4"),
        ("trials: 200", "trials: many", "trials", "found.trials: 'many' must be a whole number of at least 0"),
        ("converged: true", "converged: 1", "converged", "found.converged: 1 must be true or false"),
        ("trials: 200", "trials: true", "trials", "found.trials: true must be a whole number of at least 0"),
        ("seeds: [1", "seeds: [-1", "seeds", "found.seeds: -1 must be a whole number of at least 0"),
        ("steps: 600", "steps: 0", "budget", "found.budget.steps: 0 must be a whole number of at least 1"),
        (
            "train_fraction: 0.5",
            "train_fraction: 2",
            "budget",
            "found.budget.train_fraction: 2 must be a number above 0 and at most 1",
        ),
        ("study: nuclei", "stdy: nuclei", "study", "found: the field 'study' is missing"),
        ("macs: 2345678901", "macs: .nan", "macs", "nan is not a finite number"),
        (
            "delta_interval: [0.004, 0.014]",
            "delta_interval: [2, 1]",
            "delta_interval",
            "two numbers, the lower first",
        ),
        ("date: '2026-11-20'", "date: 2026-11-20", "date", "is read as a timestamp; put it in quotes"),
        ("format: 1", "format: 1\nformat: 1", "format", "format: written twice, first at line"),
        ("format: 1", "format: 1\nformt: 1", "formt", "formt: unknown field; did you mean 'format'?"),
        ("results:", "reslts:", "rank", "reslts: unknown field; did you mean 'results'?"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(
    text: str, kinds: Kinds, old: str, new: str, field: str, problem: str
) -> None:
    assert old in text
    changed = text.replace(old, new, 1)
    found = [line for line in problems(changed, kinds) if problem in line]
    assert len(found) == 1
    assert found[0].startswith("best.yaml: line ")
    if field in changed and "missing" not in problem and "twice" not in problem:
        assert f"line {line_of(changed, field)}:" in found[0]


def test_all_problems_are_told_at_once_from_top_to_bottom(text: str, kinds: Kinds) -> None:
    for old, new in (("norm: batch", "norm: bach"), ("kind: se", "kind: es"), ("rank: 1", "rank: first")):
        text = text.replace(old, new)
    text = text.replace("mean: [120.5, ", "mean: [x, ")
    lines = problems(text, kinds)
    assert [line.split(": ")[2] for line in lines] == [
        "network.norm",
        "placement.bottleneck",
        "input.mean",
        "results.rank",
    ]


def test_hand_written_short_forms_and_left_out_parts_are_read(kinds: Kinds) -> None:
    text = """
format: 1
network: {in_channels: 1, classes: 2, depth: 2, base_channels: 4, norm: group, upsampling: bilinear}
placement:
  encoder.0: none
  encoder.1: se
  bottleneck: cbam(kernel_size=3, residual=true)
  skip.0: {kind: gate}
  skip.1: none
  decoder.0: none
  decoder.1: {kind: se, reduction: 16}
classes: [background, cell]
input: {image_size: 32, mean: [0], std: [255]}
"""
    architecture = parse_architecture(text, "hand.yaml", kinds)
    assert architecture.placement[Location.parse("decoder.1")] == AttentionSpec("se")
    bottleneck = architecture.placement[Location.parse("bottleneck")]
    assert bottleneck == AttentionSpec("cbam", (("kernel_size", 3), ("residual", True)))
    assert (architecture.found, architecture.results) == (None, None)
    assert architecture.network == UNetConfig(1, 2, 2, 4, "group", "bilinear")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty; an architecture file starts with 'format: 1'"),
        ("# only a comment\n", "the file is empty"),
        ("- 1\n", "line 1: this is a list, not an architecture; an architecture file starts with 'format: 1'"),
        ("hello", "line 1: this is 'hello', not an architecture"),
        ("network: {}\n", "field 'format' is missing; an architecture file starts with 'format: 1'"),
        ("format: 2\nwhatever: 1\n", "line 1: format: written by a newer nas-attn \\(format 2, known: up to 1\\)"),
        ("format: one\n", "line 1: format: is 'one'; an architecture file starts"),
        ("format: true\n", "line 1: format: is true; an architecture file starts"),
        ("format: 0\n", "line 1: format: is 0; an architecture file starts"),
        ("format: 1\nnetwork: [\n", "not valid YAML"),
        ("format: &a 1\nnetwork: *a\n", "anchors and aliases"),
        ("format: !!python/object/apply:os.system ['echo hacked']\n", "tags .* are not read"),
        ("format: 1\na: " + "[" * 200 + "]" * 200, "nested deeper than"),
    ],
)
def test_what_is_no_architecture_file_is_refused(text: str, problem: str, kinds: Kinds) -> None:
    with pytest.raises(ExportError, match=problem):
        parse_architecture(text, "best.yaml", kinds)


def test_a_file_with_nothing_but_its_format_names_all_that_is_missing(kinds: Kinds) -> None:
    lines = "\n".join(problems("format: 1\n", kinds))
    for name in ("network", "placement", "classes", "input"):
        assert f"field '{name}' is missing" in lines


def test_unreadable_places_are_refused(kinds: Kinds, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    (tmp_path / "large").write_text("# " + "x" * 300_000)
    for path, problem in (
        (tmp_path, "this is a folder; name an architecture file"),
        (tmp_path / "missing.yaml", "no such file; 'nas-attn export STUDY -o .*missing.yaml' writes one"),
        (tmp_path / "pipe", "this is not a regular file"),
        (tmp_path / "image.png", "line 1: not UTF-8 text; save the file as UTF-8"),
        (tmp_path / "large", "larger than 256 KiB; an architecture file takes a few"),
        (tmp_path / "a\0b", "no such file|cannot be read"),
    ):
        with pytest.raises(ExportError, match=problem):
            read_architecture(path, kinds)


def test_parts_that_do_not_fit_together_are_no_architecture(architecture: Architecture) -> None:
    with pytest.raises(ExportError) as caught:
        replace(
            architecture,
            network=UNetConfig(in_channels=1, classes=3, depth=3),
            image_size=7,
            std=(0.0, float("nan"), 1.0),
        )
    text = str(caught.value)
    assert "the placement gives no attention for encoder.2, skip.2, decoder.2" in text
    assert "classes: 2 class names for a network of 3 classes" in text
    assert "mean: 3 values for a network of 1 input channels" in text
    assert "std: must be finite numbers above 0" in text
    assert "image_size: is 7; a U-Net of depth 3 needs at least 8" in text


def test_a_placement_of_a_deeper_network_does_not_fit(architecture: Architecture) -> None:
    with pytest.raises(ExportError, match=r"a U-Net of depth 2 has no location encoder\.2, skip\.2, decoder\.2"):
        replace(architecture, placement=UNetConfig(3, 2, depth=3).plain)


def test_names_that_cannot_be_shown_are_refused(architecture: Architecture) -> None:
    with pytest.raises(ExportError, match=r"classes: 'a\\nb' holds characters that cannot be shown"):
        replace(architecture, classes=("a\nb", "c"))
