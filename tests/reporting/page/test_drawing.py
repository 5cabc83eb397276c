"""A placement as a picture."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.models.network import MAX_DEPTH, MIN_DEPTH, UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.reporting.page import draw_unet

SVG = "{http://www.w3.org/2000/svg}"
DEPTHS = range(MIN_DEPTH, MAX_DEPTH + 1)
KINDS = ("none", "se", "cbam", "gate(variant=oktay)", "scse(fusion=concat,reduction=16)", "nonlocal")


def network(depth: int) -> UNetConfig:
    return UNetConfig(3, 2, depth=depth, base_channels=16)


@st.composite
def cases(draw: st.DrawFn) -> tuple[UNetConfig, Placement]:
    unet = network(draw(st.sampled_from(DEPTHS)))
    specs = {location: AttentionSpec.parse(draw(st.sampled_from(KINDS))) for location in unet.locations}
    return unet, Placement.of(specs)


def titles(drawing: str) -> list[str]:
    """What a pointer is told over each part, without the title of the whole."""
    return [title.text or "" for title in list(ElementTree.fromstring(drawing).iter(f"{SVG}title"))[1:]]


def boxes(drawing: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of blocks and modules."""
    found = []
    for box in list(ElementTree.fromstring(drawing).iter(f"{SVG}rect"))[1:]:  # the first is the ground
        x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


@given(cases())
def test_every_location_says_what_stands_there(case: tuple[UNetConfig, Placement]) -> None:
    unet, placement = case
    told = titles(draw_unet(unet, placement))
    for location, spec in placement:
        expected = "no attention" if spec.kind == "none" else str(spec)
        assert told.count(f"{location}: {expected}") == 1


@given(cases())
def test_a_drawing_has_a_ring_for_each_empty_place_and_a_labelled_box_for_each_module(
    case: tuple[UNetConfig, Placement],
) -> None:
    unet, placement = case
    root = ElementTree.fromstring(draw_unet(unet, placement))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    attended = [spec.kind for _, spec in placement if spec.kind != "none"]
    assert len(root.findall(f".//{SVG}circle")) == len(unet.locations) - len(attended)
    assert all(texts.count(kind) == attended.count(kind) for kind in attended)


@pytest.mark.parametrize("depth", DEPTHS)
def test_nothing_overlaps_and_nothing_is_cut_off(depth: int) -> None:
    unet = network(depth)
    everywhere = Placement(tuple((location, AttentionSpec("se")) for location in unet.locations))
    drawing = draw_unet(unet, everywhere)
    width, height = (float(ElementTree.fromstring(drawing).attrib[name]) for name in ("width", "height"))
    found = boxes(drawing)
    assert len(found) == len(unet.locations) + 2 * depth + 1
    assert all(
        left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in found
    )
    for one, other in combinations(found, 2):
        beside = one[2] <= other[0] or other[2] <= one[0]
        assert beside or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_encoder_goes_down_on_the_left_and_the_decoder_up_on_the_right(depth: int) -> None:
    unet = network(depth)
    places: dict[str, tuple[float, float]] = {}
    for ring in ElementTree.fromstring(draw_unet(unet, unet.plain)).iter(f"{SVG}circle"):
        name = (ring.findtext(f"{SVG}title") or "").partition(":")[0]
        places[name] = float(ring.attrib["cx"]), float(ring.attrib["cy"])
    for level in range(depth):
        left, middle, right = (places[f"{stage}.{level}"] for stage in ("encoder", "skip", "decoder"))
        assert left[0] < middle[0] < right[0]
        assert left[1] == middle[1] == right[1] < places["bottleneck"][1]
        if level:
            above = places[f"encoder.{level - 1}"], places[f"decoder.{level - 1}"]
            assert above[0][0] < left[0]
            assert right[0] < above[1][0]


def test_a_drawing_of_four_levels_fits_a_telephone_at_its_full_size() -> None:
    """420 pixels less the margins of the page: letters of 12 pixels stay 12 pixels."""
    width = float(ElementTree.fromstring(draw_unet(network(4), network(4).plain)).attrib["width"])
    assert width <= 420 - 2 * 14


def test_the_whole_is_an_image_with_a_title_and_a_description() -> None:
    unet = network(2)
    placement = unet.plain.replace(Location.parse("skip.1"), AttentionSpec.parse("gate(variant=oktay)"))
    root = ElementTree.fromstring(draw_unet(unet, placement))
    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}title") == "gate(variant=oktay) at skip.1"
    assert root.findtext(f"{SVG}desc") == (
        "U-Net of depth 2, 16 base channels, batch norm, transpose upsampling; "
        "attention: gate(variant=oktay) at skip.1."
    )


def test_the_plain_network_says_that_it_has_no_attention() -> None:
    root = ElementTree.fromstring(draw_unet(network(2), network(2).plain))
    assert root.findtext(f"{SVG}title") == "baseline (plain U-Net)"
    assert (root.findtext(f"{SVG}desc") or "").endswith("no attention.")


def test_what_an_option_holds_is_text_and_never_markup() -> None:
    unet = network(2)
    spec = AttentionSpec("se", (("note", '</title><script>alert("x")</script>&'),))
    drawing = draw_unet(unet, unet.plain.replace(Location.parse("encoder.0"), spec))
    assert not list(ElementTree.fromstring(drawing).iter(f"{SVG}script"))
    assert f"encoder.0: {spec}" in titles(drawing)
