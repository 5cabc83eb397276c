"""What each attention costs at each place."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.models.placement import NONE
from nas_attn.record import Cost
from nas_attn.reporting.page.chart import Chart, Table
from nas_attn.reporting.page.facts import AddedCost
from nas_attn.reporting.page.heat_map import GROWING, heat_map, logarithm
from nas_attn.wording.numbers import amount

_LEAST_SHARE = 0.01
_TICKS = (0.01, 1, 100)


def costs_chart(added: Sequence[AddedCost], plain: Cost) -> Chart:
    """MACs that each choice but ``none`` adds at its place, as a share of the plain U-Net's."""
    told = [cost for cost in added if cost.spec != NONE]
    shares = {(cost.location, cost.spec): 100 * cost.macs / max(1, plain.macs) for cost in told}
    return Chart(
        name="costs",
        title="Costs by place",
        caption=(
            f"MACs that an attention adds at a place, in per cent of the baseline's {amount(plain.macs)}; "
            "colours are logarithmic. What stands in for a dearer convolution is below 0. MACs count "
            "convolutions, linear maps and matrix products: what normalises, pools or multiplies a map by weights "
            "counts as 0, and takes time all the same."
        ),
        figure=heat_map(
            {cell: logarithm(share) for cell, share in shares.items()},
            {cell: _percent(share) for cell, share in shares.items()},
            {(cost.location, cost.spec): _tell_cost(cost, plain) for cost in told},
            scale=GROWING,
            bar="% of the baseline's MACs",
            ticks=[(logarithm(share), f"{share:g}") for share in _TICKS],
        ),
        table=Table.of(
            ("place", "attention", "MACs added", "% of the baseline", "parameters added"),
            [
                (
                    str(cost.location),
                    str(cost.spec),
                    amount(cost.macs),
                    _percent(shares[cost.location, cost.spec]),
                    amount(cost.parameters),
                )
                for cost in told
            ],
            most=400,
        ),
    )


def _percent(share: float) -> str:
    """``0.012``, ``12``; what is below a hundredth is written so, and only nothing is 0."""
    if 0 < abs(share) < _LEAST_SHARE:
        return f"<{_LEAST_SHARE}" if share > 0 else f">-{_LEAST_SHARE}"
    return f"{share:.2g}" if abs(share) < 10 else f"{share:.0f}"


def _tell_cost(cost: AddedCost, plain: Cost) -> str:
    macs, parameters = 100 * cost.macs / max(1, plain.macs), 100 * cost.parameters / max(1, plain.parameters)
    return (
        f"<b>{cost.spec} at {cost.location}</b><br>{amount(cost.macs)} MACs ({_percent(macs)} %)<br>"
        f"{amount(cost.parameters)} parameters ({_percent(parameters)} %)"
    )
