"""The page as a file: whole, closed in itself, and safe whatever a study is called."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from nas_attn.analysis import Interval, Versus, rank
from nas_attn.analysis.detection import Sight
from nas_attn.analysis.effects import study_effects
from nas_attn.analysis.verification import Comparison, Verification
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, State, TrialRecord
from nas_attn.reporting.page import AddedCost, Panel, Panels, Picture, StudyFacts, report_page
from nas_attn.wording.budgets import sight_sentence

Facts = Callable[..., StudyFacts]
VOID = {"meta", "img", "br", "link", "input"}
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301"
    "0100c9fe92ef0000000049454e44ae426082"
)


class Outline(HTMLParser):
    """What a page is made of; fails where a tag is closed that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page.replace(get_plotlyjs(), ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def full(facts_of: Facts) -> StudyFacts:
    facts = facts_of(40)
    location = Location.parse("skip.0")
    return facts_of(
        40,
        records=facts.records,
        ranking=facts.ranking,
        effects=study_effects(facts.records),
        added_costs=(AddedCost(location, AttentionSpec("se"), 10, 50),),
        plain_curve=((50, 0.5), (100, 0.6)),
        plain_curve_text="It has converged.",
        settings=(("seed", "0"),),
        data=(("data set", "nuclei"),),
        commands=(("nas-attn rank made-up", "Rank:"),),
        panels=Panels(
            ("Trained again.",),
            (("nucleus", "#e69f00"),),
            (Panel("a.png", "worst", 0.5, 0.4, (Picture("truth", "two nuclei", DOT),)),),
        ),
        remarks=("A remark.",),
    )


def headings(outline: Outline) -> list[str]:
    return [attrs["id"] or "" for attrs in outline.all("h2")]


def test_a_full_page_has_every_section_and_each_is_linked(facts_of: Facts) -> None:
    outline = Outline(report_page(full(facts_of)))
    assert not outline.open
    assert headings(outline) == [
        "winner",
        "predictions",
        "holds",
        "differences",
        "front",
        "ranking",
        "effects",
        "learning",
        "budget",
        "costs",
        "made",
        "repeat",
    ]
    links = [attrs["href"] for attrs in outline.all("a")]
    assert links == ["#content", *(f"#{name}" for name in headings(outline))]


def test_no_two_parts_share_an_id(facts_of: Facts) -> None:
    ids = Counter(attrs["id"] for _, attrs in Outline(report_page(full(facts_of))).tags if "id" in attrs)
    assert max(ids.values()) == 1


def test_a_page_asks_for_nothing_from_outside(facts_of: Facts) -> None:
    page = report_page(full(facts_of)).replace(get_plotlyjs(), "")
    addresses = set(re.findall(r"https?://[^\"'\s<\\]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    outline = Outline(page)
    assert not outline.all("link")
    assert not any("src" in attrs for attrs in outline.all("script"))
    assert all((attrs["src"] or "").startswith("data:image/png;base64,") for attrs in outline.all("img"))
    (policy,) = [attrs["content"] for attrs in outline.all("meta") if "http-equiv" in attrs]
    assert "default-src 'none'" in (policy or "")


def test_every_figure_is_named_described_and_told_as_a_table(facts_of: Facts) -> None:
    page = report_page(full(facts_of))
    outline = Outline(page)
    ids = {attrs["id"] for _, attrs in outline.tags if "id" in attrs}
    plots = [attrs for attrs in outline.all("div") if attrs.get("class") == "plot"]
    assert len(plots) == 6
    for plot in plots:
        assert plot["aria-label"]
        assert plot["aria-describedby"] in ids
    assert page.count("(as a table)</summary>") == len(plots)
    assert all(attrs["alt"] for attrs in outline.all("img"))
    assert all(attrs.get("aria-label") or attrs.get("id") == "theme" for attrs in outline.all("button"))


def test_data_of_figures_and_drawings_are_json(facts_of: Facts) -> None:
    facts = full(facts_of)
    page = report_page(facts)
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page, re.DOTALL)
    values = {name: json.loads(text) for name, text in found}
    drawings = values.pop("facts")["placements"]
    assert set(drawings) == {row.placement.id for row in facts.ranking.rows}
    assert all(set(value) == {"data", "layout"} for value in values.values())
    first = facts.ranking.rows[0]
    for location, spec in first.placement.attended:
        assert f"{location}: {spec}<" in drawings[first.placement.id]["modules"]


def verified(facts: StudyFacts, row: int, delta: float) -> Verification:
    """Of a row of the ranking; its first module adds two points."""
    placement = facts.ranking.rows[row].placement
    location, _ = placement.attended[0]
    return Verification(
        winner=placement,
        iou=(0.66 + delta, 0.66),
        to_baseline=Comparison(delta, Interval(delta - 0.005, delta + 0.005), 5),
        reference="",
        to_reference=None,
        modules={location: Comparison(0.02, Interval(0.01, 0.03), 5)},
        found=None,
        n_images=10,
        n_failed=0,
        budget=facts.ranking.budget,
    )


def test_the_verified_figure_stands_beside_the_verdict_with_the_ablation_below(facts_of: Facts) -> None:
    facts = facts_of(40)
    assert not facts.ranking.rows[0].is_plain
    page = report_page(facts_of(40, verifications=(verified(facts, 0, 0.031), verified(facts, 1, -0.04))))
    outline = Outline(page)
    head, _, rest = page.partition("<main")
    assert "+3.1 IoU points (2.6 to 3.6, 5 seeds)" in head
    assert "-4.0 IoU points" not in head
    section = rest.partition('id="holds"')[2].partition("</section>")[0]
    assert "Verified besides: Refuted: " in section
    assert "2 placements of this study were evaluated on the test data" in section
    assert 'id="plot-ablation"' in section
    assert "+2.0 IoU points (1.0 to 3.0, 5 seeds)" in section
    assert not outline.open


def test_what_was_not_verified_is_said_beside_the_verdict_with_the_command(facts_of: Facts) -> None:
    head = report_page(facts_of(40)).partition("<main")[0]
    assert "Not verified yet: &#x27;nas-attn verify made-up&#x27;" in head


def test_where_the_plain_unet_leads_nothing_is_asked_for(facts_of: Facts, run: Callable[..., TrialRecord]) -> None:
    plain = facts_of(0).network.plain
    other = plain.replace(Location.parse("skip.0"), AttentionSpec("se"))
    records = (run(0, plain, 0, 0.8), run(1, other, 0, 0.5))
    page = report_page(facts_of(0, records=records, ranking=rank(records)))
    assert "holds" not in headings(Outline(page))
    assert "verify" not in page.replace(get_plotlyjs(), "")


def test_what_is_not_known_is_absent(facts_of: Facts) -> None:
    outline = Outline(report_page(facts_of(5)))
    assert headings(outline) == ["winner", "differences", "front", "ranking", "learning"]


def test_a_study_without_a_complete_trial_says_so(facts_of: Facts) -> None:
    network = facts_of(0).network
    template = facts_of(2).records[0]
    failed = TrialRecord(
        0, network.plain, template.budget, 0, template.role, State.FAILED, failure="the loss became nan at step 3"
    )
    outline = Outline(report_page(facts_of(0, records=(failed,))))
    text = " ".join(outline.text)
    assert "Nothing to rank: no trial is complete." in text
    assert "the loss became nan at step 3" in text
    assert headings(outline) == ["failures"]


def test_texts_are_never_markup(facts_of: Facts) -> None:
    evil = "</script><script>alert(1)</script><b>&"
    base = facts_of(5)
    records = (
        *base.records,
        TrialRecord(
            99, base.network.plain, base.records[0].budget, 0, base.records[0].role, State.FAILED, failure=evil
        ),
    )
    facts = facts_of(
        5,
        study=evil,
        records=records,
        ranking=rank(base.records),
        settings=((evil, evil),),
        commands=((evil, evil),),
        remarks=(evil,),
        panels=Panels((evil,), ((evil, "#e69f00"),), (Panel(evil, evil, 0.5, 0.4, (Picture(evil, evil, DOT),)),)),
    )
    page = report_page(facts)
    assert "<script>alert" not in page
    assert "<b>&" not in page
    assert evil in "".join(Outline(page).text)


def test_a_page_of_thousands_of_placements_stays_small(facts_of: Facts) -> None:
    page = report_page(facts_of(3000))
    assert len(page) - len(get_plotlyjs()) < 3_500_000
    assert "600 of 3,000 placements are drawn" in page


@pytest.mark.parametrize("cost", ["latency", "memory"])
def test_a_cost_that_was_not_measured_leaves_the_front_out(facts_of: Facts, cost: str) -> None:
    records = facts_of(6).records
    outline = Outline(report_page(facts_of(6, records=records, ranking=rank(records, cost=cost))))
    assert "front" not in headings(outline)
    assert Cost(1, 1).latency_ms is None


def test_colours_of_panels_are_escaped(facts_of: Facts) -> None:
    facts = full(facts_of)
    assert facts.panels is not None
    hostile = replace(facts.panels, classes=(("cell", 'red"><script>alert(1)</script>'),))
    page = report_page(replace(facts, panels=hostile))
    assert "<script>alert" not in page
    assert "red&quot;&gt;&lt;script&gt;alert(1)" in page


def cards(page: str) -> dict[str, str]:
    """Names and figures of the box of the answer."""
    box = page.partition('class="verdict-box"')[2].partition("</dl>")[0]
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)<small>", box))


def test_the_answer_stands_first_in_figures(facts_of: Facts) -> None:
    facts = facts_of(40)
    page = report_page(facts)
    found = cards(page)
    assert page.index("verdict-box") < page.index('<p class="verdict">')
    assert list(found) == [
        "Is attention worth it?",
        "Gain over the baseline, IoU points",
        "Cost",
        "Verified on test data?",
        "This study would show",
    ]
    answers = {"better": "Yes", "equivalent": "No", "undecided": "Not decided"}
    assert found["Is attention worth it?"] == answers[str(facts.verdict.answer)]
    assert found["Verified on test data?"] == "not yet"
    row, plain = facts.verdict.row, facts.ranking.plain
    assert row is not None
    assert plain is not None
    assert found["Cost"] == f"{100 * (row.cost.macs / plain.cost.macs - 1):+.1f} % MACs"


def test_a_gain_of_less_than_what_matters_is_a_little(facts_of: Facts) -> None:
    facts = facts_of(40)
    row = facts.verdict.row
    assert row is not None
    shown = replace(
        row, better_than_baseline=Versus.BETTER, tested=True, delta=0.004, delta_interval=Interval(0.001, 0.007)
    )
    found = {}
    for worth in (0.005, 0.01):
        verdict = replace(facts.verdict, row=shown, verification=None, curve=None, largest=0.02, worth=worth)
        page = report_page(replace(facts, verdict=verdict))
        found[worth] = cards(page)["Is attention worth it?"]
    assert found == {0.005: "Yes", 0.01: "A little"}
    assert "less than the 1.0 points assumed to be the smallest gain that matters" in page


def test_what_the_study_would_show_is_what_its_own_trials_can_tell(facts_of: Facts) -> None:
    """Not what a search of the default length could."""
    facts, sight = facts_of(40), Sight(0.05, 30, 0.25, 0.95)
    said = sight_sentence(sight, "IoU")
    shown = cards(report_page(replace(facts, verdict=replace(facts.verdict, sight=sight))))[
        "This study would show"
    ]
    assert f"can detect {shown} IoU points" in said


def test_a_verified_gain_replaces_what_the_search_measured(facts_of: Facts) -> None:
    facts = facts_of(40)
    page = report_page(facts_of(40, verifications=(verified(facts, 0, 0.031),)))
    found = cards(page)
    if facts.verdict.row == facts.ranking.rows[0]:
        assert found["Gain over the baseline, IoU points"] == "+3.1 (2.6 to 3.6)"
        assert found["Verified on test data?"] == "yes, confirmed"


def test_the_same_sentence_does_not_stand_twice_in_the_head(facts_of: Facts) -> None:
    facts = facts_of(40)
    head = report_page(facts_of(40, verifications=(verified(facts, 0, 0.031),))).partition("<main")[0]
    assert head.count("Confirmed: ") <= 1


def test_each_class_has_its_iou_beside_the_baselines(facts_of: Facts) -> None:
    page = report_page(facts_of(40, classes=("background", "cell")))
    table = page.partition("IoU of a class, over")[2].partition("</table>")[0]
    assert re.findall(r"<td class=\"figures\">(background|cell)</td>", table) == ["background", "cell"]
