from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_attn.analysis import Ranking, rank
from nas_attn.architecture import pick
from nas_attn.errors import ExportError, NasAttnError, UsageError

Make = Callable[..., Any]

# Plain, then a front that rises steeply to (0.58, 1200) and slowly after it.
POINTS = ((0.50, 1000), (0.54, 1100), (0.58, 1200), (0.59, 1600), (0.60, 2000), (0.45, 1500))


@pytest.fixture(name="ranking")
def ranking_fixture(ranked: Make) -> Ranking:
    ranking: Ranking = ranked(*POINTS, noise=0.005)
    assert [row.iou_mean for row in ranking.rows] == pytest.approx([0.60, 0.59, 0.58, 0.54, 0.50, 0.45])
    return ranking


@pytest.mark.parametrize(
    ("how", "macs"),
    [
        ("best", 2000),
        ("knee", 1200),
        ("under:macs=1.2x", 1200),
        ("under:macs=1.19x", 1100),
        ("under:macs=1x", 1000),
        ("under:macs=1.6k", 1600),
        ("under:macs=1599", 1200),
        ("under:parameters=3.2k", 1600),
        ("under: macs = 1.6k", 1600),
        ("under:macs=1.6k,parameters=1.1x", 1100),
        ("under:macs=9G", 2000),
    ],
)
def test_each_rule_picks_its_placement(ranking: Ranking, how: str, macs: int) -> None:
    assert pick(ranking, how).cost.macs == macs


def test_one_standard_error_takes_the_cheapest_that_may_be_as_good(ranked: Make) -> None:
    found = []
    for noise in (0.0001, 0.003, 0.006, 0.01, 0.015, 0.03, 0.5):
        ranking = ranked(*POINTS[:5], noise=noise)
        best = ranking.rows[0]
        picked = pick(ranking, "one-se")
        # The definition, in so many words.
        error = ranking.noise.pair.sd / 4**0.5
        near = [row for row in ranking.rows if best.iou_expected - row.iou_expected <= error]
        assert picked.cost.macs == min(row.cost.macs for row in near)
        found.append(picked.cost.macs)
    assert found[0] == 2000
    assert found[-1] == 1000
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 2


def test_one_standard_error_needs_the_noise(ranked: Make) -> None:
    with pytest.raises(
        ExportError, match="one-se needs the noise between seeds, which is not known: run the leading placements"
    ):
        pick(ranked(*POINTS), "one-se")


@pytest.mark.parametrize(
    ("points", "macs"),
    [
        (((0.5, 1000),), 1000),
        (((0.5, 1000), (0.6, 2000)), 1000),
        (((0.5, 1000), (0.51, 1900), (0.6, 2000)), 1000),
        (((0.6, 1000), (0.5, 2000)), 1000),
        (((0.5, 1000), (0.5, 1000), (0.58, 1100), (0.6, 2000)), 1100),
    ],
    ids=["one point", "two points", "below the line", "plain dominates", "duplicates"],
)
def test_the_knee_of_small_fronts(ranked: Make, points: tuple[tuple[float, int], ...], macs: int) -> None:
    assert pick(ranked(*points), "knee").cost.macs == macs


def test_best_is_what_is_shown_to_be_better_and_else_the_plain_u_net(ranked: Make) -> None:
    sure, unsure = ranked((0.5, 1000), (0.52, 1100), noise=0.001), ranked((0.5, 1000), (0.502, 1100), noise=0.02)
    assert [pick(sure, how).cost.macs for how in ("best", "first")] == [1100, 1100]
    assert [pick(unsure, how).cost.macs for how in ("best", "first")] == [1000, 1100]


def test_where_only_the_plain_u_net_ran_there_is_no_first(ranked: Make) -> None:
    with pytest.raises(ExportError, match="only the baseline was evaluated"):
        pick(ranked((0.5, 1000)), "first")


def test_the_knee_needs_a_front(ranked: Make) -> None:
    with pytest.raises(
        ExportError, match="there is no Pareto front, because no placement has a measured latency; pick best"
    ):
        pick(ranked(*POINTS, cost="latency"), "knee")


def test_an_id_or_the_start_of_one_picks_its_placement(ranking: Ranking) -> None:
    for row in ranking.rows:
        assert pick(ranking, f"id:{row.placement.id}") is row
        assert pick(ranking, f"id:{row.placement.id[:7].upper()}") is row


def test_the_start_of_several_ids_is_ambiguous(ranked: Make) -> None:
    ranking = ranked(*((0.5 + 0.001 * n, 1000 + n) for n in range(40)))
    start = next(
        row.placement.id[0]
        for row in ranking.rows
        if sum(other.placement.id[0] == row.placement.id[0] for other in ranking.rows) > 1
    )
    with pytest.raises(UsageError, match=f"'id:{start}' is ambiguous: {start}"):
        pick(ranking, f"id:{start}")


@pytest.mark.parametrize(
    ("how", "error", "problem"),
    [
        ("bst", UsageError, "unknown pick 'bst'; did you mean 'best'?"),
        ("", UsageError, "unknown pick ''; known: best, first, id:, knee, one-se, under:"),
        ("one_se", UsageError, "unknown pick 'one_se'; did you mean 'one-se'?"),
        ("best:1", UsageError, "unknown pick 'best:1'; did you mean 'best'?"),
        ("under", UsageError, "unknown pick 'under'; did you mean 'under:'?"),
        ("under:1.2x", UsageError, "'under:1.2x' is not a ceiling; write for example under:macs=1.2x"),
        ("under:mac=1.2x", UsageError, "under: unknown cost 'mac'; did you mean 'macs'?"),
        ("under:macs=abc", UsageError, "under: 'abc' is not a ceiling; write 1.2x (times the baseline), 2.1G"),
        ("under:macs=-1", UsageError, "under: '-1' is not a ceiling"),
        ("under:macs=nan", UsageError, "under: 'nan' is not a ceiling"),
        ("under:macs=999", ExportError, "no placement is at or below 999; the least macs is 1,000: id:"),
        ("under:latency=3.5", ExportError, "no placement has a latency; it was not measured"),
        ("under:latency=2x", ExportError, "2x of the baseline's latency is not known; write a number instead"),
        ("id:", UsageError, "'id:' needs the start of a placement's id, for example id:"),
        ("id:zz", UsageError, "no placement has an id that starts with 'zz'; such as "),
    ],
)
def test_what_cannot_be_picked_is_explained(
    ranking: Ranking, how: str, error: type[NasAttnError], problem: str
) -> None:
    with pytest.raises(error) as caught:
        pick(ranking, how)
    assert problem in str(caught.value)


def test_the_cheapest_is_named_where_all_cost_too_much(ranking: Ranking) -> None:
    assert ranking.plain is not None
    with pytest.raises(ExportError, match=f"id:{ranking.plain.placement.id}, baseline"):
        pick(ranking, "under:macs=10")


@pytest.mark.parametrize("how", ["best", "knee", "one-se", "under:macs=2x", "id:0"])
def test_nothing_can_be_picked_from_an_empty_ranking(how: str) -> None:
    with pytest.raises(ExportError, match="nothing to pick from: no trial of the study is complete"):
        pick(rank([]), how)
