from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.errors import SpaceError, UsageError
from nas_attn.record import Cost
from nas_attn.space import Ceiling, Limits


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        (12000, "absolute", 12000),
        ("12000", "absolute", 12000),
        ("40k", "absolute", 40_000),
        ("40 k", "absolute", 40_000),
        ("350M", "absolute", 350_000_000),
        ("2.1G", "absolute", 2_100_000_000),
        ("0.000000001T", "absolute", 1000),
        ("1x", "relative", 1.0),
        ("1.5x", "relative", 1.5),
    ],
)
def test_a_ceiling_is_read_exactly(written, kind, value):
    assert Ceiling.parse(written) == Ceiling(kind, value)


@pytest.mark.parametrize(
    "written", ["", "x", "1.5", 1.5, True, None, "-3", -3, 0, "0x", "0.99x", "nanx", "1.5X", "2g", "1e3", "2.1Gx",
                "1_000", "٣x", "1" * 5000, "9999999T", "1000000x", [], "0.5k1"]
)  # fmt: skip
def test_what_is_no_ceiling_is_refused_with_the_ways_to_write_one(written):
    with pytest.raises(SpaceError, match=r"write 1\.5x \(times the baseline\), 2\.1G, 350M, 40k or 12000$"):
        Ceiling.parse(written)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.5])
def test_a_ceiling_out_of_its_range_cannot_be_made(value):
    with pytest.raises(SpaceError, match="is not from 1x to 100000x"):
        Ceiling("relative", value)


@given(st.integers(1, 10**15).map(lambda value: Ceiling("absolute", value))
       | st.floats(1, 10**5).map(lambda value: Ceiling("relative", value)))  # fmt: skip
def test_a_ceiling_is_read_from_what_it_prints(ceiling):
    assert Ceiling.parse(str(ceiling)) == ceiling


@given(st.integers(10, 9_999), st.sampled_from("kMGT"))
def test_a_decimal_with_a_suffix_has_its_exact_value(tenths, suffix):
    factor = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[suffix]
    assert Ceiling.parse(f"{tenths // 10}.{tenths % 10}{suffix}").value == Fraction(tenths, 10) * factor


PLAIN = Cost(parameters=1000, macs=2_000_000)


@pytest.mark.parametrize(
    ("limits", "cost", "expected"),
    [
        (Limits(), Cost(10**9, 10**12), []),
        (Limits(max_macs=Ceiling("relative", 1.5)), Cost(1000, 3_000_000), []),
        (
            Limits(max_macs=Ceiling("relative", 1.5)),
            Cost(1000, 3_300_000),
            [
                "3,300,000 macs are 300,000 (10.0%) over max_macs of 3,000,000 (1.5x the baseline's), so take "
                "cheaper attention or fewer locations"
            ],
        ),
        (
            Limits(max_parameters=Ceiling("absolute", 1200)),
            Cost(1201, 0),
            [
                "1,201 parameters are 1 (0.1%) over max_parameters of 1,200, so take cheaper attention or fewer "
                "locations"
            ],
        ),
    ],
    ids=["no ceiling", "at the ceiling", "over a relative one", "over an absolute one"],
)
def test_a_broken_ceiling_is_told_with_its_amount(limits, cost, expected):
    assert limits.reasons(cost, PLAIN) == expected


def test_both_ceilings_can_be_broken_at_once():
    limits = Limits(4096, Ceiling("absolute", 1), Ceiling("absolute", 1))
    assert len(limits.reasons(Cost(2, 2), None)) == 2


def test_a_relative_ceiling_cannot_be_judged_without_the_plain_cost():
    with pytest.raises(UsageError, match=r"a ceiling of 1\.5x cannot be judged without the baseline's cost"):
        Limits(max_macs=Ceiling("relative", 1.5)).reasons(Cost(1, 1), None)
