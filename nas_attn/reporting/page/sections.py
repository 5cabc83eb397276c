"""The sections of a report, in their order. Sections without data are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import chain

from nas_attn.analysis import RankedPlacement, RungFidelity, compared_rungs, ladder_fidelity
from nas_attn.analysis.per_class import as_compared, paired_ious
from nas_attn.analysis.verification import verification_of
from nas_attn.record import State
from nas_attn.reporting.page.answer import holding_lines
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.curves import curve_data, curves_chart
from nas_attn.reporting.page.differences import ablation_chart, compared_rows, differences_chart
from nas_attn.reporting.page.drawing import draw_unet
from nas_attn.reporting.page.facts import StudyFacts
from nas_attn.reporting.page.front import front_chart, front_data, timed_front_data
from nas_attn.reporting.page.heat_maps import costs_chart, effects_chart
from nas_attn.reporting.page.labels import chance, cost_title, delta, iou, percent
from nas_attn.reporting.page.markup import (
    chart_markup,
    commands_markup,
    list_markup,
    numbers_markup,
    pairs_markup,
    panels_markup,
    table_markup,
)
from nas_attn.reporting.page.ranking_table import ranking_markup, table_rows
from nas_attn.reporting.page.rungs import convergence_chart, rungs_chart
from nas_attn.wording.costs import latency_text
from nas_attn.wording.effects import effect_notes, effect_sentences
from nas_attn.wording.numbers import amount, points
from nas_attn.wording.rankings import gained, named, ranking_notes

_BY_CLICK = (
    '<div class="drawn screen" id="drawn" role="status" aria-live="polite" tabindex="-1">'
    "<p>Click a mark, or a button of the ranking below, to see its placement drawn here.</p></div>"
)


@dataclass(frozen=True)
class PageSection:
    """A section of the page.

    Args:
        name: for links to it.
        title: its heading.
        body: HTML.
    """

    name: str
    title: str
    body: str


def sections(facts: StudyFacts) -> Iterator[PageSection]:
    """All sections with data."""
    drawn = {name: "".join(map(chart_markup, charts(facts))) for name, charts in _CHARTS.items()}
    parts = (
        ("winner", "The leading placement", _winner(facts)),
        ("predictions", "Predictions", panels_markup(facts.panels) if facts.panels else ""),
        ("holds", "Is the gain confirmed?", list_markup(holding_lines(facts)) + drawn["holds"]),
        ("differences", "Against the baseline", drawn["differences"]),
        ("front", "Gain against cost", drawn["front"] and drawn["front"] + _BY_CLICK),
        ("ranking", "Ranking", ranking_markup(facts.ranking)),
        ("effects", "What matters where", drawn["effects"] and drawn["effects"] + _effects_said(facts)),
        ("learning", "Learning curves", drawn["learning"]),
        ("budget", "Is the budget long enough?", drawn["budget"]),
        ("costs", "What each place costs", drawn["costs"]),
        ("failures", "What failed", _failures(facts)),
        ("made", "How it was made", _made(facts)),
        ("repeat", "How to repeat it", commands_markup(facts.commands)),
    )
    return (PageSection(name, title, body) for name, title, body in parts if body)


def charts_of(facts: StudyFacts) -> Iterator[Chart]:
    """All charts with data."""
    return chain.from_iterable(charts(facts) for charts in _CHARTS.values())


def drawn_rows(facts: StudyFacts) -> list[RankedPlacement]:
    """All placements that the page shows, so that a reader may ask for their drawing."""
    data = front_data(facts.ranking)
    timed = timed_front_data(facts.ranking)
    marked = (*data.rows, *(timed.rows if timed else ()))
    shown = {row.rank: row for row in (*marked, *table_rows(facts.ranking), *compared_rows(facts.ranking))}
    return [shown[rank] for rank in sorted(shown)]


def numbers_of(row: RankedPlacement, facts: StudyFacts) -> list[tuple[str, str]]:
    """The figures of a placement."""
    plain = facts.ranking.plain
    ratio = f" ({row.cost.macs / plain.cost.macs:.2f}x)" if plain and plain.cost.macs and not row.is_plain else ""
    found = [
        (f"{facts.ranking.metric.word} x100", iou(row.iou_mean, row.iou_interval)),
        ("expected gain over the baseline, points", gained(row)),
        ("measured gain, points", delta(row)),
        ("seeds", str(row.n_seeds)),
        (cost_title("latency", facts.network.input_name), latency_text(row, facts.ranking)),
        (cost_title("macs", facts.network.input_name), amount(row.cost.macs) + ratio),
        ("parameters", amount(row.cost.parameters)),
        ("on the Pareto front with a chance of", chance(row)),
    ]
    return [(name, text) for name, text in found if text != "-"]


def _winner(facts: StudyFacts) -> str:
    shown = facts.leading
    if shown is None:
        return ""
    before = "" if shown.rank == 1 else "<p>The baseline is first. The best placement with attention:</p>"
    return (
        f"{before}<p><b>{escape(f'{shown.rank}. {named(shown)}')}</b></p>"
        f'<div class="beside"><div><div class="drawing">{draw_unet(facts.network, shown.placement)}</div>'
        '<p class="soft">Boxes are blocks with their channels; the encoder goes down on the left, dashed lines '
        "are skips, the decoder goes up on the right. Coloured boxes are attention, rings are places without.</p>"
        "</div>"
        f"<div>{numbers_markup(numbers_of(shown, facts))}{_class_table(shown, facts)}</div></div>"
    )


def _class_table(row: RankedPlacement, facts: StudyFacts) -> str:
    """The IoU of each class, for a placement and for the baseline."""
    if facts.ranking.plain is None or row.is_plain or not facts.classes:
        return ""
    metric = facts.ranking.metric
    found = [as_compared(ious, metric) for ious in paired_ious(facts.records, row, facts.ranking)]
    rows = [
        (name, percent(one), percent(base), "-" if one is None or base is None else points(one - base))
        for name, one, base in zip(facts.classes, *found, strict=False)
    ]
    table = Table.of(("class", "x100", "baseline", "difference"), rows)
    return table_markup(table, f"{metric.of_class}, over the seeds that both have")


def _effects_said(facts: StudyFacts) -> str:
    if facts.effects is None:
        return ""
    said = ranking_notes(facts.ranking)
    notes = [note for note in effect_notes(facts.effects) if note not in said]
    return list_markup([*effect_sentences(facts.effects), *notes])


def _failures(facts: StudyFacts) -> str:
    failed = [record for record in facts.records if record.state is State.FAILED]
    if not failed:
        return ""
    reasons = Counter(record.failure or "no reason is known" for record in failed)
    pairs = [(f"{number:,}", reason) for reason, number in reasons.most_common(20)]
    return f"<p>{len(failed):,} of {len(facts.records):,} trials failed.</p>{pairs_markup(pairs)}"


def _made(facts: StudyFacts) -> str:
    parts = (("Settings", facts.settings), ("Data", facts.data))
    return "".join(f"<h3>{title}</h3>{pairs_markup(pairs)}" for title, pairs in parts if pairs)


def _ablation_charts(facts: StudyFacts) -> Iterator[Chart]:
    first = facts.leading
    found = first and verification_of(first, facts.ranking, facts.verifications)
    if found and found.modules:
        yield ablation_chart(found)


def _differences_charts(facts: StudyFacts) -> Iterator[Chart]:
    if rows := compared_rows(facts.ranking):
        yield differences_chart(rows, facts.ranking.metric.word)


def _front_charts(facts: StudyFacts) -> Iterator[Chart]:
    name = facts.network.input_name
    if (timed := timed_front_data(facts.ranking)) is not None:
        yield front_chart(timed, name)
    data = front_data(facts.ranking)
    if len(data.rows) > 1:
        yield front_chart(data, name)


def _effects_charts(facts: StudyFacts) -> Iterator[Chart]:
    if facts.effects is not None and facts.effects.effects:
        yield effects_chart(facts.effects)


def _learning_charts(facts: StudyFacts) -> Iterator[Chart]:
    data = curve_data(facts.records, facts.ranking)
    if data.curves:
        yield curves_chart(data)


def _budget_charts(facts: StudyFacts) -> Iterator[Chart]:
    if fidelities := _fidelities(facts):
        yield rungs_chart(fidelities, facts.records, facts.ranking.metric.word)
    if len(facts.plain_curve) > 1:
        yield convergence_chart(facts.plain_curve, facts.plain_curve_text, facts.ranking.metric.word)


def _fidelities(facts: StudyFacts) -> tuple[RungFidelity, ...]:
    """The fidelity between neighbouring rungs, and from the first to the last if others lie between."""
    confidence = facts.ranking.confidence
    neighbours = ladder_fidelity(facts.records, confidence=confidence)
    if len(neighbours) < 2:
        return neighbours
    first, last = neighbours[0].lower, neighbours[-1].upper
    ends = compared_rungs(facts.records, first, last, confidence=confidence)
    return neighbours if ends is None else (*neighbours, ends)


def _costs_charts(facts: StudyFacts) -> Iterator[Chart]:
    plain = facts.ranking.plain
    if plain is not None and any(cost.spec.kind != "none" for cost in facts.added_costs):
        yield costs_chart(facts.added_costs, plain.cost)


_CHARTS: Mapping[str, Callable[[StudyFacts], Iterator[Chart]]] = {
    "holds": _ablation_charts,
    "differences": _differences_charts,
    "front": _front_charts,
    "effects": _effects_charts,
    "learning": _learning_charts,
    "budget": _budget_charts,
    "costs": _costs_charts,
}
"""The charts of each section that has any."""
