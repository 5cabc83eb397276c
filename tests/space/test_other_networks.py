"""A space in a network that is not nas-attn's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from nas_attn.errors import SpaceError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import look_at
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.space import SearchSpace, read_space
from nas_attn.space.peek import asked_in_space, read_network_file
from nas_attn.space.read import space_from_dict


@pytest.fixture
def described(small_unet: type[nn.Module]) -> DescribedNetwork:
    return look_at(AskedNetwork.parse("small_unet:SmallUNet"), 3, 2).network


@pytest.fixture
def space(described: DescribedNetwork) -> SearchSpace:
    return read_space("unet_attention", catalogue(), network=described, image_size=64)


def test_a_spaces_choices_hold_for_the_networks_places(space: SearchSpace, described: DescribedNetwork) -> None:
    assert space.locations == described.locations
    choices = dict(space.choices)
    assert AttentionSpec("gate") in choices[Location.parse("skip.2")]
    assert AttentionSpec("gate") not in choices[Location.parse("encoder.1")]


def test_it_reads_back_without_torch(space: SearchSpace) -> None:
    assert space_from_dict(space.to_dict(), catalogue(), where="x") == space


def write(path: Path, network: str, choices: str) -> Path:
    path.write_text(f"version: 1\nname: mine\nnetwork: {network}\nchoices: {choices}\n")
    return path


def parts_at(network: DescribedNetwork, *locations: str) -> DescribedNetwork:
    """The same network, with a convolution and a block at these locations alone."""
    bare = {"convolution": "", "block": "", "block_channels": 0}
    found = (site if str(site.location) in locations else replace(site, **bare) for site in network.found)
    return replace(network, found=tuple(found))


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (
            "{encoder: [none, se, dcn]}",
            "dcn replaces or wraps a part of the network, and small_unet:SmallUNet has",
        ),
        (
            "{encoder.1: [ran, dynamic], skip: [none]}",
            "dynamic and ran replace or wrap a part of the network, and small_unet:SmallUNet has none",
        ),
    ],
    ids=["one", "two"],
)
def test_a_space_that_names_what_the_network_has_no_part_for_is_refused_in_one_line(
    described: DescribedNetwork, tmp_path: Path, choices: str, told: str
) -> None:
    path = write(tmp_path / "s.yaml", "{family: module, build: 'small_unet:SmallUNet'}", choices)
    with pytest.raises(SpaceError) as caught:
        read_space(path, catalogue(), network=parts_at(described, "bottleneck"), image_size=64)
    (line,) = caught.value.problems
    assert told in line
    assert "line 4: choices: " in line


def test_kinds_that_replace_a_part_are_choices_where_there_is_one(
    described: DescribedNetwork, tmp_path: Path
) -> None:
    network = parts_at(described, "encoder.1")
    path = write(
        tmp_path / "s.yaml", "{family: module, build: 'small_unet:SmallUNet'}", "{encoder: [none, se, dcn, ran]}"
    )
    space = read_space(path, catalogue(), network=network, image_size=64)
    kinds = {str(at): [spec.kind for spec in specs] for at, specs in space.choices}
    assert (kinds["encoder.0"], kinds["encoder.1"]) == (["none", "se"], ["none", "se", "dcn", "ran"])
    stands, stands_not = (
        space.plain.replace(Location.parse(at), AttentionSpec("dcn")) for at in ("encoder.1", "encoder.2")
    )
    assert space.why_not(stands) is None
    assert space.why_not(stands_not) == (
        "encoder.2: dcn takes a convolution's place, and encoder.2 has no 3x3 convolution of 32 to 32 channels in "
        "this network"
    )
    assert space_from_dict(space.to_dict(), catalogue(), where="x") == space


def test_of_a_space_for_our_own_network_what_has_no_part_is_left_out(
    described: DescribedNetwork, tmp_path: Path
) -> None:
    path = write(tmp_path / "s.yaml", "{family: unet, depth: 3}", "{encoder: [none, se, dcn]}")
    space = read_space(path, catalogue(), network=parts_at(described, "bottleneck"), image_size=64)
    assert {str(spec) for _, specs in space.choices for spec in specs} == {"none", "se"}
    assert {(str(gone.location), gone.spec.kind) for gone in space.dropped} == {
        ("encoder.0", "dcn"), ("encoder.1", "dcn"), ("encoder.2", "dcn"),
    }  # fmt: skip
    assert space_from_dict(space.to_dict(), catalogue(), where="x") == space  # as every worker reads it


def test_a_place_that_the_network_lacks_is_told_with_its_line(described: DescribedNetwork, tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", "{family: module, build: 'small_unet:SmallUNet'}", "{encoder.4: [se]}")
    with pytest.raises(SpaceError, match=r"line 4: choices.encoder.4: no such location in small_unet:SmallUNet"):
        read_space(path, catalogue(), network=described, image_size=64)


def test_a_file_asks_for_its_network(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.yaml", "{family: smp, build: Unet/resnet34, weights: imagenet}", "{encoder: [none, se]}"
    )
    assert asked_in_space(path) == AskedNetwork("smp", "Unet/resnet34", weights="imagenet")
    assert asked_in_space("unet_attention") is None
    with pytest.raises(SpaceError, match="smp:Unet/resnet34 has not been inspected"):
        read_space(path, catalogue())


def test_a_network_file_is_read_with_all_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text(
        "family: smp\nbuild: Unet/resnet34\ntrain: nothing\nlocations: {encoder.9x: a}\nnrmalise: data\n"
    )
    with pytest.raises(Exception) as caught:  # its problems are compared below
        read_network_file(path)
    told = "\n".join(caught.value.problems)  # type: ignore[attr-defined]
    assert "line 3: train: 'nothing' must be all | attention+head | decoder+attention" in told
    assert "line 4: locations" in told
    assert "line 5: nrmalise: unknown field; did you mean 'normalise'?" in told


def test_images_are_continued_to_what_the_network_wants(described: DescribedNetwork) -> None:
    sizes = {str(site.location): (site.height, site.width) for site in described.sites(60, 33)}
    assert sizes["encoder.0"] == (64, 40)
    assert sizes["bottleneck"] == (8, 5)
