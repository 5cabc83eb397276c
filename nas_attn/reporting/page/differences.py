"""Paired differences to the plain U-Net, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.labels import delta, hover
from nas_attn.reporting.page.whiskers import Whisker, whiskers_figure
from nas_attn.wording.rankings import gained, named

_MOST = 12


def compared_rows(ranking: Ranking) -> tuple[RankedPlacement, ...]:
    """The first of the ranking and the best controls, as far as they were tested beside the plain U-Net."""
    known = [row for row in ranking.rows if row.tested]
    leaders = known[:_MOST]
    controls = [row for row in known if row.control is not None and row not in leaders]
    return (*leaders, *controls[: _MOST // 2])


def differences_chart(rows: Sequence[RankedPlacement], word: str) -> Chart:
    """One line for each placement: the mean difference and its interval.

    Args:
        rows: of a ranking.
        word: what its values are called.
    """
    return Chart(
        name="differences",
        title="Differences to the baseline",
        caption=(
            f"Measured {word} points over the baseline, paired seed by seed, of all that was tested with several "
            "seeds. The intervals hold together for all of these. One that crosses 0 says that the placement is "
            "not shown to differ from the baseline. Expect the gain in the table rather than the measured one: "
            "what leads is ahead by luck, too."
        ),
        figure=whiskers_figure([_row_whisker(row, word) for row in rows], f"{word} points over the baseline"),
        table=Table.of(
            ("rank", "placement", "gain x100", "measured x100", "seeds", "verdict"),
            [
                (
                    str(row.rank),
                    named(row),
                    gained(row),
                    delta(row),
                    str(row.n_seeds),
                    str(row.better_than_plain),
                )
                for row in rows
            ],
        ),
    )


def _row_whisker(row: RankedPlacement, word: str) -> Whisker:
    return Whisker(
        name=f"{row.rank}. {named(row)}",
        middle=row.delta or 0.0,
        interval=row.delta_interval,
        versus=row.better_than_plain,
        hover=f"{hover(row, word)}<br>{row.better_than_plain}",
        placement=row.placement.id,
    )
