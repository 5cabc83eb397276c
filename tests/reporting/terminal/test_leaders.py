"""The leading placements in the terminal: each is drawn as it is, with its figures."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nas_attn.analysis import rank
from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, CurvePoint, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.terminal.leaders import draw_placement, leaders, sparkline

PLAIN = UNetConfig(in_channels=1, classes=2, depth=3).plain


def placed(**kinds):
    placement = PLAIN
    for name, kind in kinds.items():
        placement = placement.replace(Location.parse(name.replace("_", ".")), AttentionSpec.parse(kind))
    return placement


def record(number, placement, seed, iou, losses=()):
    curve = tuple(CurvePoint(10 * step, loss) for step, loss in enumerate(losses))
    outcome = Outcome(Score(iou, (iou,), 0.1), Cost(10, 1000 + number % 3), curve, 1.0)
    return TrialRecord(number, placement, Budget(100, 64, 8), seed, Role.PROPOSAL, State.COMPLETE, outcome=outcome)


def printed(records, width=120):
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(leaders(rank(records), records))
    return console.export_text()


def test_each_module_is_drawn_at_its_level_and_on_its_side():
    lines = draw_placement(placed(encoder_0="se", skip_1="gate", decoder_2="scse", bottleneck="pam"))
    assert [line.split() for line in lines] == [
        ["0", "se", "─", "·", "─", "·"],
        ["1", "·", "─", "gate", "─", "·"],
        ["2", "·", "─", "·", "─", "scse"],
        ["└─", "pam", "─┘"],
    ]


def test_a_long_name_is_shortened_so_that_columns_stay_in_line():
    lines = draw_placement(placed(encoder_0="residual_attention", decoder_1="residual_attention"))
    assert "residua…" in lines[0]
    assert len({line.index("─") for line in lines[:3]}) == 1


@pytest.mark.parametrize(
    ("values", "drawn"),
    [((), ""), ((1.0,), "▁"), ((0.0, 7.0), "▁█"), ((3.0, 3.0, 3.0), "▁▁▁"), (tuple(range(8)), "▁▂▃▄▅▆▇█")],
)
def test_bars_go_from_the_least_value_to_the_most(values, drawn):
    assert sparkline(values) == drawn


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_a_curve_of_any_length_fits_and_keeps_its_ends(values):
    drawn = sparkline(values, 24)
    assert len(drawn) == min(len(values), 24)
    assert (drawn[0] <= drawn[-1]) == (values[0] <= values[-1]) or drawn[0] == drawn[-1]


def test_the_first_three_with_attention_are_drawn_with_their_figures():
    placements = [PLAIN, placed(skip_0="se"), placed(skip_1="eca"), placed(skip_2="gate"), placed(decoder_0="ca")]
    wobble = (0.001, -0.001, 0.002)
    records = [
        record(3 * row + seed, placement, seed, 0.6 - 0.01 * row + wobble[(row + seed) % 3], (0.9, 0.5, 0.1))
        for row, placement in enumerate(placements)
        for seed in range(3)
    ]
    text = printed(records)
    assert [f"#{rank_}" in text for rank_ in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert text.count("IoU points (") == 3
    assert text.count("on the Pareto front: ") == 3
    assert text.count("loss █▅▁") == 3
    assert all(len(line) <= 120 for line in text.splitlines())


def test_what_is_not_known_is_left_out():
    text = printed([replace(record(0, placed(skip_0="se"), 0, 0.6))])
    assert "#1" in text
    assert "front" not in text
    assert "loss" not in text
    assert printed([record(0, PLAIN, 0, 0.6)]).strip() == ""
