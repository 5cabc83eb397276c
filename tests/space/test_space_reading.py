import json
from pathlib import Path

import pytest

from nas_attn.errors import SpaceError
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location
from nas_attn.space import Ceiling, Limits, read_space, space_from_text

FULL = """\
version: 1
name: unet_attention
description: >
  for those
  who ask
network: {family: unet, depth: 2, norm: group, upsampling: bilinear, base_channels: 8, image_size: 64}
start: identity
options: {se: {reduction: 8}}
choices:
  encoder: [none, se, {kind: se, reduction: 4, start: paper}]
  skip.0: [none, gate]
limits:
  max_positions: 1024
  max_macs: 1.5x
  max_parameters: 2.1M
"""


def choices_of(space):
    return {str(location): [str(spec) for spec in specs] for location, specs in space.choices}


def test_every_field_of_a_file_reaches_the_space(read, kinds):
    space = read(FULL)
    assert space.name == "unet_attention"
    assert space.description == "for those who ask"
    assert space.network == UNetConfig(3, 2, depth=2, base_channels=8, norm="group", upsampling="bilinear")
    assert (space.height, space.width) == (64, 64)
    assert space.limits == Limits(1024, Ceiling("relative", 1.5), Ceiling("absolute", 2_100_000))
    assert {kind.name for kind in space.kinds} == set(kinds)
    assert choices_of(space) == {
        "encoder.0": ["none", "se(reduction=8, start=identity)", "se(reduction=4)"],
        "encoder.1": ["none", "se(reduction=8, start=identity)", "se(reduction=4)"],
        "bottleneck": ["none"],
        "skip.0": ["none", "gate(start=identity)"],
        "skip.1": ["none"],
        "decoder.0": ["none"],
        "decoder.1": ["none"],
    }


def test_a_single_location_replaces_the_choices_of_its_stage(read_rest):
    space = read_rest("choices:\n  skip: [none, gate]\n  skip.1: [se]\n")
    assert choices_of(space)["skip.0"] == ["none", "gate"]
    assert choices_of(space)["skip.1"] == ["se"]


def test_a_stage_that_is_left_out_holds_none_alone(read_rest):
    space = read_rest("choices: {bottleneck: [se]}")
    assert [specs for location, specs in space.choices if str(location) != "bottleneck"] == [(NONE,)] * 6


def test_options_are_taken_from_the_choice_then_from_the_kind_then_from_the_defaults(read_rest):
    space = read_rest(
        "options: {se: {reduction: 8, scale: 2.0}}\n"
        "choices: {bottleneck: [se, {kind: se, reduction: 4}, {kind: se, reduction: 16, scale: 1.0}]}"
    )
    assert choices_of(space)["bottleneck"] == ["se(reduction=8, scale=2)", "se(reduction=4, scale=2)", "se"]


def test_start_is_not_written_for_kinds_to_which_it_makes_no_difference(read_rest):
    space = read_rest("start: identity\nchoices: {bottleneck: [none, pam, gate]}".replace(", gate", ", se"))
    assert choices_of(space)["bottleneck"] == ["none", "pam", "se(start=identity)"]


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, (3, 2, 8, 64)),
        ({"in_channels": 1}, (1, 2, 8, 64)),
        ({"classes": 5}, (3, 5, 8, 64)),
        ({"base_channels": 4}, (3, 2, 4, 64)),
        ({"image_size": 32}, (3, 2, 8, 32)),
    ],
    ids=str,
)
def test_a_keyword_replaces_what_the_file_says(tmp_path, kinds, keywords, expected):
    path = tmp_path / "mine.yaml"
    path.write_text(FULL)
    space = read_space(path, kinds, **keywords)
    network = space.network
    assert (network.in_channels, network.classes, network.base_channels, space.width) == expected


def test_the_start_keyword_replaces_the_file_but_not_the_choice(tmp_path, kinds):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "version: 1\nname: x\nnetwork: {family: unet, depth: 2}\nchoices:\n"
        "  bottleneck: [se, {kind: cbam, start: paper}]\n"
    )
    space = read_space(path, kinds, start="identity")
    assert choices_of(space)["bottleneck"] == ["se(start=identity)", "cbam"]


def test_keywords_are_checked_like_the_file(tmp_path, kinds):
    path = tmp_path / "mine.yaml"
    path.write_text(FULL)
    with pytest.raises(SpaceError) as caught:
        read_space(path, kinds, in_channels=0, classes=1, base_channels=10**9, image_size=-3, start="papr")
    assert caught.value.problems == (
        f"{path}: argument in_channels: 0 must be a whole number from 1 to 65536",
        f"{path}: argument classes: 1 must be a whole number from 2 to 65536",
        f"{path}: argument base_channels: 1000000000 must be a whole number from 1 to 65536",
        f"{path}: argument image_size: must be a whole number from 1 to 65536, or [H, W] of such, not -3",
        f"{path}: argument start: 'papr' must be neutral | paper | identity",
    )


def test_quadratic_kinds_are_dropped_where_positions_exceed_the_limit(read_rest):
    """128 px: H*W is 16384, 4096 and 1024 at levels 0, 1 and 2; 4096 is the default limit and may stand."""
    space = read_rest("choices: {encoder: [none, pam], bottleneck: [pam], decoder.0: [pam, se]}")
    assert choices_of(space)["encoder.0"] == ["none"]
    assert choices_of(space)["encoder.1"] == ["none", "pam"]
    assert choices_of(space)["decoder.0"] == ["se"]
    assert [(str(gone.location), str(gone.spec)) for gone in space.dropped] == [
        ("encoder.0", "pam"),
        ("decoder.0", "pam"),
    ]
    assert space.limits.max_positions == 4096


def test_the_position_limit_moves_with_the_image_size(tmp_path, kinds):
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nname: x\nnetwork: {family: unet, depth: 2}\nchoices: {encoder: [none, pam]}")
    assert read_space(path, kinds, image_size=64).dropped == ()
    assert len(read_space(path, kinds, image_size=65).dropped) == 1
    assert len(read_space(path, kinds, image_size=256).dropped) == 2


def test_a_location_from_which_the_limit_removes_everything_is_a_problem(read_rest):
    with pytest.raises(SpaceError) as caught:
        read_rest("choices:\n  bottleneck: [none]\n  encoder.0: [pam]\n")
    assert caught.value.problems == (
        "f.yaml: line 6: choices.encoder.0: no choice is left at encoder.0: pam has costs that grow with "
        "(H*W)^2, and H*W is "
        "128*128 = 16384 here, over max_positions of 4096, so place it deeper or raise limits.max_positions",
    )


def test_an_image_may_be_oblong(read):
    space = read(
        "version: 1\nname: x\nnetwork: {family: unet, depth: 2, image_size: [32, 48]}\nchoices: {skip: [none]}"
    )
    assert (space.height, space.width) == (32, 48)


def test_json_and_a_byte_order_mark_can_be_read(tmp_path, kinds):
    values = {"version": 1, "name": "x", "network": {"family": "unet", "depth": 2}, "choices": {"skip": ["se"]}}
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(values).encode())
    assert choices_of(read_space(path, kinds))["skip.1"] == ["se"]


def test_the_source_may_be_a_text_or_a_path(tmp_path, kinds, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text(FULL)
    monkeypatch.chdir(tmp_path)
    assert read_space("mine.yaml", kinds) == read_space(path, kinds) == read_space(Path("mine.yaml"), kinds)
    assert read_space("./mine.yaml", kinds) == space_from_text(FULL, kinds, where="anywhere")


def test_plain_is_none_everywhere(read):
    space = read(FULL)
    assert {spec for _, spec in space.plain} == {AttentionSpec("none")}
    assert space.locations == tuple(location for location, _ in space.plain)
    assert Location.parse("skip.1") in space.locations
