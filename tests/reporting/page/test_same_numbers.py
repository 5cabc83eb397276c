"""A row has the same numbers in every table, chart, note and file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from nas_attn.analysis.formats import ranking_json
from nas_attn.reporting.page import StudyFacts, trial_note
from nas_attn.reporting.page.chart import Chart
from nas_attn.reporting.page.differences import compared_rows, differences_chart
from nas_attn.reporting.page.front import front_chart, front_data
from nas_attn.reporting.page.ranking_table import ranking_markup
from nas_attn.wording.numbers import points

Facts = Callable[..., StudyFacts]


@pytest.fixture(scope="module")
def facts(facts_of: Facts) -> StudyFacts:
    return facts_of(20)


def marks(chart: Chart) -> Iterator[tuple[str, float, float, str]]:
    """Placement, x, y and hover text of each mark."""
    for trace in chart.figure.data:
        yield from zip(trace.customdata or (), trace.x, trace.y, trace.text or (), strict=False)


def test_gains_of_table_front_hover_note_and_json_agree(facts: StudyFacts) -> None:
    rows = facts.ranking.rows
    attended = [row for row in rows if not row.is_plain]
    written = {one["placement_id"]: points(one["gain"]) for one in json.loads(ranking_json(facts.ranking))}
    cells = re.findall(r"<tr><td.*?data-placement=\"(\w+)\"", ranking_markup(facts.ranking))
    table = dict(zip(cells, gains_of_page(facts), strict=True))
    front = list(marks(front_chart(front_data(facts.ranking))))
    drawn = {placement: points(y / 100) for placement, _, y, _ in front}
    hovered = {placement: text for placement, _, _, text in front}
    assert len(attended) == 19
    for row in attended:
        gain = written[row.placement.id]
        assert table[row.placement.id] == drawn[row.placement.id] == gain
        assert f"expected gain: {gain} points" in hovered[row.placement.id]
        record = next(one for one in facts.records if one.placement == row.placement)
        assert f"expected gain {gain} points" in trial_note(record, row, "IoU")


def gains_of_page(facts: StudyFacts) -> list[str]:
    """The fourth cell of each row of the page's ranking."""
    body = ranking_markup(facts.ranking).partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row)[3] for row in body.split("</tr>") if row]


def test_measured_gains_of_chart_table_hover_and_json_agree(facts: StudyFacts) -> None:
    written = {one["placement_id"]: one for one in json.loads(ranking_json(facts.ranking))}
    rows = compared_rows(facts.ranking)
    chart = differences_chart(rows, "IoU")
    table = {int(cells[0]): cells[3] for cells in chart.table.rows}
    drawn = {placement: (points(x / 100), text) for placement, x, _, text in marks(chart)}
    tested = [row for row in rows if not row.is_plain]
    assert tested
    for row in tested:
        mark, text = drawn[row.placement.id]
        said = table[row.rank]
        assert said.startswith(f"{mark} (")
        assert f"measured: {said}" in text
        assert points(written[row.placement.id]["delta_iou_mean"]) == mark
