"""HTML of tables, charts and panels. All text from outside is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from nas_attn.printable import harmless
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.facts import Panel, Panels

_FIGURES_LETTERS = 24


def safe(text: str) -> str:
    """A text from outside as HTML, without tags of its own and without invisible characters."""
    return escape(harmless(text))


def table_markup(table: Table, caption: str) -> str:
    """A table with a caption, which says if rows are left out."""
    left_out = f": the first {len(table.rows)} of {table.total:,}" if len(table.rows) < table.total else ""
    return rows_markup(table.headers, ("".join(map(cell_markup, row)) for row in table.rows), caption + left_out)


def rows_markup(headers: Iterable[str], rows: Iterable[str], caption: str) -> str:
    """A table from rows whose cells are already markup."""
    head = "".join(f'<th scope="col">{safe(header)}</th>' for header in headers)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><caption><span>{safe(caption)}</span></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def cell_markup(text: str) -> str:
    """A cell of a table. Lines break only in words, not in numbers."""
    kind = "words" if len(text) > _FIGURES_LETTERS else "figures"
    return f'<td class="{kind}">{safe(text)}</td>'


def chart_markup(chart: Chart) -> str:
    """A figure, its explanation, and its table, which a click opens."""
    name = f"plot-{chart.name}"
    data = (chart.figure.to_json() or "{}").replace("<", "\\u003c")
    return (
        f'<figure><figcaption id="{name}-caption">{safe(chart.caption)}</figcaption>'
        f'<div class="wide"><div class="plot" id="{name}" role="group" '
        f'aria-label="{safe(chart.title)}" aria-describedby="{name}-caption"></div></div>'
        f'<script type="application/json" id="{name}-data">{data}</script>'
        f"<details><summary>{safe(chart.title)} (as a table)</summary>"
        f"{table_markup(chart.table, chart.title)}</details></figure>"
    )


def pairs_markup(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and texts side by side."""
    rows = "".join(f'<tr><th scope="row">{safe(name)}</th><td>{safe(text)}</td></tr>' for name, text in pairs)
    return f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'


def numbers_markup(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and figures as cards."""
    cards = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(text)}</dd></div>" for name, text in pairs)
    return f'<dl class="numbers">{cards}</dl>'


def list_markup(lines: Sequence[str]) -> str:
    """Sentences, one below the other; empty if there are none."""
    return f"<ul>{''.join(f'<li>{safe(line)}</li>' for line in lines)}</ul>" if lines else ""


def commands_markup(commands: Iterable[tuple[str, str]]) -> str:
    """Commands, each with its purpose."""
    return "".join(f"<p>{safe(about)}</p><pre>{safe(command)}</pre>" for command, about in commands)


def panels_markup(panels: Panels) -> str:
    """Pictures in rows, one row for each image."""
    legend = "".join(
        f'<li><span style="background:{safe(colour)}"></span>{safe(name)}</li>' for name, colour in panels.classes
    )
    notes = "".join(f"<p>{safe(note)}</p>" for note in panels.notes)
    rows = "".join(_panel_markup(panel) for panel in panels.panels)
    return f'<ul class="legend" aria-label="colours of the classes">{legend}</ul>{rows}{notes}'


def _panel_markup(panel: Panel) -> str:
    pictures = "".join(
        f'<figure><img alt="{safe(picture.words)}" '
        f'src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        f"<figcaption>{safe(picture.caption)}</figcaption></figure>"
        for picture in panel.pictures
    )
    figures = f"IoU x100 {100 * panel.iou_winner:.1f} (baseline {100 * panel.iou_baseline:.1f})"
    title = f"{panel.why}: {panel.image}, {figures}"
    return f'<div class="panel"><h3>{safe(title)}</h3><div class="pictures">{pictures}</div></div>'


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> str:
    """Rows below the titles of their columns, with the total number of rows if only the first are shown."""
    titles = "".join(f"<th>{safe(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    more = f"<p>{len(rows)} of {total}</p>" if len(rows) < total else ""
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{more}"
