import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.errors import UsageError
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Cost

CHOICES = """
choices:
  encoder: [none, se, pam]
  bottleneck: [none, {kind: se, reduction: 4}]
  skip: [none, gate]
limits: {max_macs: 1.5x}
"""


@pytest.fixture(scope="module")
def space(read_rest):
    return read_rest(CHOICES)


def changed(space, **texts):
    """The plain placement but for some locations, as ``skip_0="se"``."""
    specs = space.plain.to_dict() | {name.replace("_", "."): text for name, text in texts.items()}
    return Placement.from_dict(specs)


def test_a_placement_of_choices_is_allowed(space):
    assert space.why_not(changed(space, skip_0="gate", encoder_1="pam", bottleneck="se(reduction=4)")) is None


REFUSALS = {
    "no gating signal": (
        {"encoder_1": "gate"},
        "encoder.1: gate cannot stand here: encoders and the bottleneck have no gating signal (it can be placed "
        "at skip and decoder)",
    ),
    "not among the choices": (
        {"skip_0": "se"},
        "skip.0: se is not among the choices, so take none or gate",
    ),
    "other options": (
        {"bottleneck": "se"},
        "bottleneck: se is not among the choices, so take none or se(reduction=4)",
    ),
    "written otherwise": (
        {"encoder_0": "se(reduction=16)"},
        "encoder.0: se(reduction=16) is the same as se, so write that",
    ),
    "too many positions": (
        {"encoder_0": "pam"},
        "encoder.0: pam has costs that grow with (H*W)^2, and H*W is 128*128 = 16384 here, over max_positions "
        "of 4096, so place it deeper or raise limits.max_positions",
    ),
    "too many positions at a place that was never a choice": (
        {"decoder_0": "pam"},
        "decoder.0: pam has costs that grow with (H*W)^2, and H*W is 128*128 = 16384 here, over max_positions "
        "of 4096, so place it deeper or raise limits.max_positions",
    ),
    "unknown kind": ({"skip_1": "cbm"}, "skip.1: unknown attention 'cbm', did you mean 'cbam'?"),
    "unknown option": (
        {"encoder_1": "se(reductoin=4)"},
        "encoder.1: se has no option 'reductoin'; did you mean 'reduction'?",
    ),
    "a location that the network lacks": (
        {"skip_2": "none"},
        "skip.2: no such location in a U-Net of depth 2, so leave it out",
    ),
    "a last location that the network lacks": (
        {"decoder_2": "none"},
        "decoder.2: no such location in a U-Net of depth 2, so leave it out",
    ),
    "two at once": (
        {"skip_0": "se", "encoder_0": "gate"},
        "encoder.0: gate cannot stand here: encoders and the bottleneck have no gating signal (it can be placed "
        "at skip and decoder); skip.0: se is not among the choices, so take none or gate",
    ),
}


@pytest.mark.parametrize(("texts", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_names_the_location_the_reason_and_the_mend(space, texts, expected):
    placement = changed(space, **texts)
    assert space.why_not(placement) == expected
    assert not space.contains(placement)


@pytest.mark.parametrize(
    ("place", "mend"), [("encoder.0", "none or se"), ("skip.1", "none or gate"), ("decoder.1", "none")]
)
def test_a_missing_location_is_named_with_its_choices(space, place, mend):
    placement = Placement(tuple(pair for pair in space.plain if pair[0] != Location.parse(place)))
    assert space.why_not(placement) == f"{place}: missing, so take {mend}"
    assert not space.contains(placement)


def test_a_cost_over_a_ceiling_is_a_reason_beside_the_others(space):
    over, plain = Cost(1, 151), Cost(1, 100)
    reason = (
        "151 macs are 1 (0.7%) over max_macs of 150 (1.5x the baseline's), so take cheaper attention or fewer "
        "locations"
    )
    assert space.why_not(space.plain, over, plain) == reason
    assert space.why_not(changed(space, skip_0="se"), over, plain) == (
        f"skip.0: se is not among the choices, so take none or gate; {reason}"
    )
    assert space.why_not(space.plain, Cost(1, 150), plain) is None
    assert space.contains(space.plain)


def test_a_relative_ceiling_needs_the_plain_cost_only_where_a_cost_is_given(space):
    assert space.why_not(space.plain) is None
    with pytest.raises(UsageError, match="pass plain="):
        space.why_not(space.plain, Cost(1, 1))


SPECS = ["none", "se", "se(reduction=4)", "se(reduction=16)", "gate", "pam", "pam(start=identity)", "cbm", "cbam"]


@given(data=st.data())
def test_there_is_a_reason_exactly_where_the_space_does_not_contain_the_placement(space, data):
    places = data.draw(st.lists(st.sampled_from([*space.locations, Location.parse("skip.3")]), unique=True))
    specs = st.sampled_from(SPECS).map(AttentionSpec.parse)
    placement = Placement.of(dict(space.plain.specs) | {place: data.draw(specs) for place in places})
    assert (space.why_not(placement) is None) == space.contains(placement)
    assert space.contains(placement) == (placement in set(space.placements()))
