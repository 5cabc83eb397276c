from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_attn.analysis import Interval, rank
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.wording.numbers import amount, bounds, points
from nas_attn.wording.placements import describe
from nas_attn.wording.rankings import ranking_verdict

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        ({}, "baseline (plain U-Net)"),
        ({"skip_1": "se"}, "se at skip.1"),
        ({"bottleneck": "pam"}, "pam at bottleneck"),
        (
            {"skip_1": "scse", "decoder_0": "eca", "decoder_1": "eca", "decoder_2": "eca"},
            "scse at skip.1; eca at decoder.0-2",
        ),
        ({"encoder_0": "se", "encoder_2": "se", "skip_0": "se"}, "se at encoder.0,2, skip.0"),
        ({"encoder_0": "se(reduction=8)", "encoder_1": "se"}, "se(reduction=8) at encoder.0; se at encoder.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_placements_in_few_words(place: Make, kinds: dict[str, str], text: str) -> None:
    assert describe(place(**kinds)) == text


def test_one_attention_at_all_locations_stands_everywhere() -> None:
    locations = UNetConfig(1, 2, depth=3).locations
    assert describe(Placement(tuple((place, AttentionSpec("se")) for place in locations))) == "se everywhere"


@pytest.mark.parametrize(
    ("delta", "text"), [(0.00912, "+0.9"), (-0.0123, "-1.2"), (0.0004, "0.0"), (-0.0004, "0.0")]
)
def test_differences_are_in_points_with_a_sign(delta: float, text: str) -> None:
    assert points(delta) == text


def test_a_bound_near_0_shows_on_which_side_it_lies() -> None:
    assert bounds(Interval(0.0003, 0.0142)) == "0.03 to 1.4"
    assert bounds(Interval(-0.0003, 0.0)) == "-0.03 to 0.0"


def clear_case(table: Make, place: Make, gap: float) -> str:
    """Four placements with five seeds each: the first two close to each other, ``gap`` above plain."""
    wobble = [0.002, -0.002, 0.001, -0.001, 0.0]
    levels = {
        place(): 0.5,
        place(skip_1="scse", decoder_0="eca"): 0.5 + gap,
        place(skip_0="se"): 0.4995 + gap,
        place(encoder_0="cbam"): 0.45,
    }
    scores = {
        placement: {s: level + wobble[(s * (p + 1)) % 5] for s in range(5)}
        for p, (placement, level) in enumerate(levels.items())
    }
    return str(ranking_verdict(rank(table(scores))))


def test_a_clear_gain_is_stated_with_its_interval_its_seeds_its_cost_and_its_ties(
    table: Make, place: Make
) -> None:
    text = clear_case(table, place, gap=0.01)
    assert text.startswith("Better than the baseline: scse at skip.1 and eca at decoder.0, expected gain +1.0 IoU")
    assert " (measured +1.0 (0." in text
    assert text.endswith(
        "with 5 seeds) for 1.01x MACs, and 1 more placement; not distinguishable from the first: rank 2."
    )


def test_no_gain_is_called_none(table: Make, place: Make) -> None:
    text = clear_case(table, place, gap=0.001)
    assert text.startswith("No placement is significantly better than the baseline")
    assert "(-" in text


def test_a_placement_with_one_run_is_no_claim(table: Make, numbered: Make) -> None:
    wobble = [0.001, -0.001, 0.0, 0.001]
    scores: dict[Placement, dict[int, float]] = {
        numbered(p): {s: 0.5 + wobble[(s + p) % 4] for s in range(3)} for p in range(3)
    }
    scores[numbered(3)] = {0: 0.6}
    assert ranking_verdict(rank(table(scores))).startswith(
        "No placement is significantly better than the baseline"
    )


def test_before_the_finals_the_most_promising_is_named_as_that(table: Make, numbered: Make) -> None:
    ranking = rank(table({numbered(p): {0: 0.5 + 0.01 * p} for p in range(4)}))
    assert ranking_verdict(ranking) == (
        "Undecided: no placement has been tested with several fresh seeds yet. Most promising is "
        "cbam at encoder.0, expected gain "
        f"{points(ranking.rows[1].gain or 0)} IoU points (1 run and those of similar placements) for 1.03x MACs."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.6, "1k"),
        (1234, "1.23k"),
        (2_345_678_901, "2.35G"),
        (4.5e12, "4.5T"),
        (-1234, "-1.23k"),
    ],
)
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert amount(value) == text


def test_a_lead_of_the_plain_unet_by_single_runs_is_not_taken_for_more(
    record: Callable[..., Any], place: Callable[..., Any]
) -> None:
    ranking = rank([record(0, place(), 0, 0.7), record(1, place(skip_0="se"), 0, 0.6)])
    assert ranking_verdict(ranking).startswith(
        "Undecided: no placement has been tested with several fresh seeds yet."
    )


def test_many_ties_are_counted_and_not_listed(table: Make, numbered: Make) -> None:
    """Twelve placements between which only noise decides, each with four seeds, and two with one run."""
    wobble = (0.004, -0.002, 0.001, -0.003)
    scores = {numbered(p): {s: 0.5 + wobble[(s + p) % 4] for s in range(4)} for p in range(12)}
    scores |= {numbered(p): {0: 0.5} for p in (20, 21)}
    text = str(ranking_verdict(rank(table(scores))))
    assert "; not distinguishable from the first: 11 tested placements. First with attention is" in text
