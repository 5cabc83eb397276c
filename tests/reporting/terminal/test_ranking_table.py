from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from nas_attn.analysis import Ranking, rank, ranking_json
from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.terminal.ranking_table import ranking_table
from nas_attn.wording.rankings import gained, measured, ranking_verdict

PLAIN = UNetConfig(in_channels=1, classes=2, depth=4).plain
SE = PLAIN.replace(Location.parse("skip.1"), AttentionSpec("se"))
EVERYWHERE = replace(PLAIN, specs=tuple((place, AttentionSpec("eca")) for place, _ in PLAIN))
LONG = replace(
    PLAIN,
    specs=tuple(
        (place, AttentionSpec(("cbam", "se", "none")[n % 3], (("reduction", 4 + n),) if n % 3 < 2 else ()))
        for n, (place, _) in enumerate(PLAIN)
    ),
)


def printed(ranking: Ranking, top: int | None = None) -> str:
    file = io.StringIO()
    Console(file=file, width=120).print(ranking_table(ranking, top))
    return file.getvalue()


@pytest.fixture(name="ranking")
def ranking_fixture() -> Ranking:
    wobble = [0.001, -0.001, 0.0]
    records = []
    for order, (placement, level) in enumerate({PLAIN: 0.60, SE: 0.62, EVERYWHERE: 0.6195, LONG: 0.50}.items()):
        for seed in range(3):
            iou = level + wobble[(seed + order) % 3]
            cost = Cost(1_234_567 + order, 2_345_678_901 + order * 10**8, 3.25 + order, 512.0)
            outcome = Outcome(Score(iou, (iou, iou), 0.1), cost, (), 1.0)
            reference = {PLAIN: "plain", EVERYWHERE: "eca everywhere"}.get(placement)
            budget = Budget(10, 64, 4)
            records.append(
                TrialRecord(
                    len(records), placement, budget, seed, Role.PROPOSAL, State.COMPLETE, reference, outcome
                )
            )
    return rank(records)


def test_a_row_shows_rank_id_placement_iou_difference_seeds_and_costs(ranking: Ranking) -> None:
    first = next(line for line in printed(ranking).splitlines() if SE.id in line)
    for part in ("1", "se at skip.1", "62.0 ±", "+2.0 (1.", "3", "2.45G 1.04x", "1.23M", "4.25"):
        assert part in first


def test_the_table_has_the_ious_and_the_gains_of_the_json(ranking: Ranking) -> None:
    lines = printed(ranking).splitlines()
    rows = json.loads(ranking_json(ranking))
    (plain,) = (row for row in rows if row["gain"] == 0)
    for row in rows:
        line = next(line for line in lines if row["placement_id"] in line)
        assert f" {100 * row['iou_mean']:.1f} ±" in line
        gain = row["iou_expected"] - plain["iou_expected"]
        assert gain == pytest.approx(row["gain"])
        assert row is plain or f" {100 * gain:+.1f} " in line


def test_marks_tell_the_front_and_the_ties_without_colour(ranking: Ranking) -> None:
    lines = printed(ranking).splitlines()
    marks = {row.placement: next(line for line in lines if row.placement.id in line)[-4:] for row in ranking.rows}
    assert "*" in marks[SE]
    assert "=" not in marks[SE]
    assert "=" in marks[EVERYWHERE]
    assert "*" not in marks[EVERYWHERE]
    assert "*" in marks[PLAIN]
    assert any(line.startswith("*  on the Pareto front") for line in lines)
    assert any(line.startswith("=  not distinguishable from the first") for line in lines)
    assert any(
        line.startswith("Intervals of measured gains: 95% for all 3 tested placements together") for line in lines
    )


def test_references_are_named(ranking: Ranking) -> None:
    assert "eca everywhere [reference]" in printed(ranking)
    rows = tuple(replace(row, reference=row.reference and "mine") for row in ranking.rows)
    named = printed(replace(ranking, rows=rows))
    assert "eca everywhere" in named
    assert "mine]" in named


def test_no_line_is_wider_than_120_columns_and_no_id_is_broken(ranking: Ranking) -> None:
    text = printed(ranking)
    assert max(map(len, text.splitlines())) <= 120
    assert all(row.placement.id in text for row in ranking.rows)
    assert "\x1b" not in text


def test_the_gain_to_expect_stands_before_the_measured_one(ranking: Ranking) -> None:
    first = ranking.rows[0]
    line = next(line for line in printed(ranking).splitlines() if first.placement.id in line)
    assert re.search(rf"{re.escape(gained(first))} +{re.escape(measured(first))}", line)


def test_of_what_was_only_tried_no_measured_gain_is_shown(ranking: Ranking) -> None:
    first, *others = ranking.rows
    shown = printed(replace(ranking, rows=(replace(first, tested=False, delta_interval=None), *others)))
    line = next(line for line in shown.splitlines() if first.placement.id in line)
    assert re.search(rf"{re.escape(gained(first))} +- ", line)


def test_collapsed_runs_are_marked(ranking: Ranking) -> None:
    first, *others = ranking.rows
    shown = printed(replace(ranking, rows=(replace(first, n_collapsed=1), *others)))
    assert any(line.endswith("c") and first.placement.id in line for line in shown.splitlines())
    words = "c  some of its runs collapsed: a collapsed run ended far below what its seed and its"
    assert words in shown
    assert words not in printed(ranking)


def test_the_plain_u_net_is_shown_even_below_the_top(ranking: Ranking) -> None:
    text = printed(ranking, top=1)
    assert "baseline" in text.replace(ranking_verdict(ranking), "")
    assert PLAIN.id in text
    assert LONG.id not in text
    assert "2 of 4 placements shown." in text


def test_unmeasured_latency_takes_no_column(ranking: Ranking) -> None:
    rows = tuple(replace(row, cost=replace(row.cost, latency_ms=None)) for row in ranking.rows)
    header = next(line for line in printed(replace(ranking, rows=rows)).splitlines() if "placement" in line)
    assert " ms" not in header
    assert " ms" in next(line for line in printed(ranking).splitlines() if " id " in line)


def test_an_empty_ranking_says_so() -> None:
    assert printed(rank([])).strip() == "Nothing to rank: no trial is complete."


@pytest.mark.parametrize("width", [60, 71])
def test_a_narrower_one_drops_score_and_costs_and_breaks_no_word(ranking: Ranking, width: int) -> None:
    file = io.StringIO()
    Console(file=file, width=width).print(ranking_table(ranking))
    lines = file.getvalue().splitlines()
    header = next(line for line in lines if "placement" in line and line.lstrip().startswith("#"))
    assert header.split() == ["#", "placement", "gain", "measured"]
    assert any("everywhere" in line and line.lstrip()[0].isdigit() for line in lines)


@pytest.mark.parametrize("width", [74, 80, 109])
def test_a_narrow_terminal_keeps_rank_placement_difference_and_marks(ranking: Ranking, width: int) -> None:
    file = io.StringIO()
    Console(file=file, width=width).print(ranking_table(ranking))
    lines = file.getvalue().splitlines()

    assert max(map(len, lines)) <= width
    first = next(line for line in lines if line.lstrip().startswith("1 "))
    for part in ("se at skip.1", "62.0", "+2.0 (1.", "1.04x", "*"):
        assert part in first
    for dropped in ("±", "params", " ms"):
        assert all(dropped not in line for line in lines), "a column that does not decide"
    assert all("…" not in line for line in lines), "nothing is cut off"


def test_from_110_columns_on_all_are_shown(ranking: Ranking) -> None:
    file = io.StringIO()
    Console(file=file, width=110).print(ranking_table(ranking))
    for title in ("id", "placement", "seeds", "MACs", "params", "ms"):
        assert title in file.getvalue()
