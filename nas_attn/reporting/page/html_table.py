"""A small table for notebooks, whose own style it takes."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.reporting.page.markup import safe


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> str:
    """Rows below the titles of their columns, and how many there are in total where these are only the first."""
    titles = "".join(f"<th>{safe(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    more = f"<p>{len(rows)} of {total}</p>" if len(rows) < total else ""
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{more}"
