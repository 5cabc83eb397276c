"""A study as one page that needs no network, no server and no other file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from plotly.offline import get_plotlyjs

from nas_attn.analysis import RankedPlacement
from nas_attn.reporting.page.answer import answer_box, holding_line
from nas_attn.reporting.page.drawing import draw_backbone, draw_modules, opening, tell
from nas_attn.reporting.page.facts import StudyFacts
from nas_attn.reporting.page.markup import safe
from nas_attn.reporting.page.sections import PageSection, drawn_rows, numbers_of, sections
from nas_attn.wording.rankings import named
from nas_attn.wording.verdicts import answer_text

_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_page(facts: StudyFacts) -> str:
    """The whole page, as HTML.

    It shows the ranking in words, figures and tables, and leaves out what is not known. Its size is bounded for
    any number of trials. Everything that works with a pointer also works with the keyboard.
    """
    title, parts = f"{facts.study}: where attention belongs", list(sections(facts))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{_text('page.css')}</style></head><body>"
        f'{_header(facts, title, parts)}<main id="content">{"".join(map(_markup, parts))}</main>'
        f'<footer class="soft">Made by nas-attn.</footer>'
        f'<script type="application/json" id="facts">{_json(_drawings(facts))}</script>'
        f"<script>{get_plotlyjs()}</script><script>{_text('page.js')}</script></body></html>\n"
    )


def _header(facts: StudyFacts, title: str, parts: Sequence[PageSection]) -> str:
    links = "".join(f'<li><a href="#{part.name}">{safe(part.title)}</a></li>' for part in parts)
    remarks = "".join(f'<p class="remark">{safe(remark)}</p>' for remark in facts.remarks)
    said, line = answer_text(facts.verdict), holding_line(facts)
    holding = f"<p>{safe(line)}</p>" if line and line not in said else ""
    return (
        '<a class="skip" href="#content">to the content</a><header><div class="bar">'
        f'<h1>{safe(title)}</h1><button type="button" id="theme">light or dark</button></div>'
        f'{answer_box(facts)}<p class="verdict">{safe(said)}</p>{holding}{remarks}'
        f'<nav aria-label="sections"><ul>{links}</ul></nav></header>'
    )


def _markup(section: PageSection) -> str:
    return (
        f'<section aria-labelledby="{section.name}"><h2 id="{section.name}">{safe(section.title)}</h2>'
        f"{section.body}</section>"
    )


def _drawings(facts: StudyFacts) -> dict[str, object]:
    """The data from which the page draws any placement that it shows: the network once, and the modules of each
    placement."""
    return {
        "opening": opening(facts.network),
        "backbone": draw_backbone(facts.network),
        "placements": {row.placement.id: _drawing(facts, row) for row in drawn_rows(facts)},
    }


def _drawing(facts: StudyFacts, row: RankedPlacement) -> dict[str, object]:
    return {
        "title": f"{row.rank}. {named(row)}",
        "told": tell(facts.network, row.placement),
        "modules": draw_modules(facts.network, row.placement),
        "numbers": numbers_of(row, facts),
    }


def _json(value: object) -> str:
    """JSON that cannot end the script element that contains it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _text(name: str) -> str:
    return files("nas_attn.reporting.page").joinpath(name).read_text(encoding="utf-8")
