"""Locations, attentions and placements as values and as text."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nas_attn.errors import SpaceError
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Site, Stage

locations = st.builds(
    lambda stage, level: Location(stage, 0 if stage is Stage.BOTTLENECK else level),
    st.sampled_from(Stage),
    st.integers(0, 9),
)
words = st.text("abz_09", max_size=5).map(lambda end: f"k{end}")
values = st.integers() | st.booleans() | st.floats(allow_nan=False) | words
specs = st.builds(AttentionSpec, words, st.dictionaries(words, values, max_size=3).map(lambda d: tuple(d.items())))
placements = st.dictionaries(locations, specs, min_size=1, max_size=8).map(Placement.of)


@given(locations)
def test_a_location_is_read_as_it_is_written(location: Location) -> None:
    assert Location.parse(str(location)) == location


@given(specs)
def test_an_attention_is_read_as_it_is_written(spec: AttentionSpec) -> None:
    assert AttentionSpec.parse(str(spec)) == spec
    assert str(AttentionSpec.parse(str(spec))) == str(spec)


@given(placements)
def test_a_placement_comes_back_from_json(placement: Placement) -> None:
    again = Placement.from_dict(json.loads(json.dumps(placement.to_dict())))
    assert again == placement
    assert again.id == placement.id
    assert hash(again) == hash(placement)


@given(placements, st.randoms(use_true_random=False))
def test_the_order_in_which_a_placement_is_given_does_not_matter(placement: Placement, random: object) -> None:
    pairs = list(placement)
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert Placement(tuple(pairs)) == placement
    assert Placement(tuple(pairs)).id == placement.id


@given(placements, specs, st.data())
def test_replacing_changes_one_location_only(
    placement: Placement, spec: AttentionSpec, data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([location for location, _ in placement]))
    replaced = placement.replace(place, spec)
    assert replaced[place] == spec
    assert [(where, what) for where, what in replaced if where != place] == [
        (where, what) for where, what in placement if where != place
    ]
    # As texts: Python takes True for 1, a kind's options do not.
    assert (replaced.id == placement.id) == (str(placement[place]) == str(spec))


def test_locations_come_in_the_order_of_the_network() -> None:
    texts = ["encoder.0", "encoder.10", "bottleneck", "skip.2", "decoder.0"]
    assert sorted(map(Location.parse, reversed(texts))) == list(map(Location.parse, texts))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("skp.1", "unknown location 'skp.1'; did you mean 'skip'?"),
        ("skip", "unknown location 'skip'; write encoder.0, bottleneck, skip.0 or decoder.0"),
        ("skip.", "unknown location 'skip.'; write"),
        ("skip.-1", "unknown location 'skip.-1'; write"),
        ("bottleneck.0", "unknown location 'bottleneck.0'; write"),
    ],
)
def test_what_is_no_location_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Location.parse(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SE", "'SE' is not an attention; write a kind such as se, or se(reduction=8)"),
        ("se(8)", "'se(8)': '8' is not an option; write name=value"),
        ("se(a=1", "'se(a=1' is not an attention"),
        ("se(a=1, a=2)", "se is given a more than once"),
    ],
)
def test_what_is_no_attention_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        AttentionSpec.parse(text)
    assert str(caught.value).startswith(message)


def test_an_attention_is_read_with_its_types() -> None:
    spec = AttentionSpec.parse(" se( reduction=8, scale=0.5,bias=true, fusion=max ) ")
    assert dict(spec.options) == {"reduction": 8, "scale": 0.5, "bias": True, "fusion": "max"}
    assert AttentionSpec.parse("se()") == AttentionSpec("se")


def test_equal_attentions_read_the_same() -> None:
    whole, fraction = AttentionSpec("x", (("rate", 1),)), AttentionSpec("x", (("rate", 1.0),))
    assert whole == fraction
    assert str(whole) == str(fraction) == "x(rate=1)"


def test_a_location_named_twice_is_refused() -> None:
    place = Location(Stage.SKIP, 1)
    with pytest.raises(SpaceError, match=r"a placement names skip.1 more than once"):
        Placement(((place, NONE), (place, AttentionSpec("se"))))


def test_a_location_that_a_placement_does_not_have_is_refused() -> None:
    placement = Placement.from_dict({"bottleneck": "se", "skip.0": "none"})
    with pytest.raises(SpaceError, match=r"no location skip.1; it has bottleneck, skip.0"):
        placement[Location(Stage.SKIP, 1)]
    with pytest.raises(SpaceError, match=r"no location skip.1"):
        placement.replace(Location(Stage.SKIP, 1), NONE)


def test_only_what_is_not_none_is_attended() -> None:
    placement = Placement.from_dict({"encoder.0": "none", "bottleneck": "se"})
    assert placement.attended == ((Location(Stage.BOTTLENECK), AttentionSpec("se")),)


def test_the_id_is_the_one_that_studies_have_stored() -> None:
    placement = Placement.from_dict({"encoder.0": "none", "bottleneck": "se(reduction=8)"})
    # printf 'encoder.0=none bottleneck=se(reduction=8)' | sha256sum
    assert placement.id == "f22979a3b6"


def test_positions_are_pixels() -> None:
    assert Site(Location(Stage.BOTTLENECK), channels=4, height=3, width=5).positions == 15
