"""What each module of the winner is worth: the winner against itself without it."""

from __future__ import annotations

from html import escape

from nas_attn.analysis.verification import Comparison, Verification
from nas_attn.metric import capitalised
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.whiskers import Whisker, whiskers_figure
from nas_attn.wording.verifications import comparison_text


def ablation_chart(verification: Verification) -> Chart:
    """One line for each module that the winner was run without; there is at least one."""
    modules = [
        (f"{verification.winner[location]} at {location}", comparison)
        for location, comparison in verification.modules.items()
    ]
    word = modules[0][1].word
    return Chart(
        name="ablation",
        title="What each module adds to the winner",
        caption=(
            f"{capitalised(word)} points that the winner has over itself without the one module, on the test data "
            "with the fresh seeds, with the confidence interval. Where the interval crosses 0, leaving the "
            "module out makes no difference that can be told."
        ),
        figure=whiskers_figure(
            [_module_whisker(name, comparison) for name, comparison in modules],
            f"{word} points over the winner without it",
        ),
        table=Table.of(
            ("module", "what it adds", "verdict"),
            [(name, comparison_text(comparison), str(comparison.versus)) for name, comparison in modules],
        ),
    )


def _module_whisker(name: str, comparison: Comparison) -> Whisker:
    told = f"<b>{escape(name)}</b><br>adds {comparison_text(comparison)}<br>{comparison.versus}"
    return Whisker(name, comparison.delta, comparison.interval, comparison.versus, told)
