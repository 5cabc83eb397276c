"""What the placements of a space cost, without counting each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Cost

if TYPE_CHECKING:
    from nas_attn.space import SearchSpace


@dataclass(frozen=True)
class Costed:
    """A placement with its cost."""

    placement: Placement
    cost: Cost


@dataclass(frozen=True)
class Extremes:
    """The plain U-Net, and the placements of a space with the fewest and the most operations."""

    plain: Costed
    cheapest: Costed
    dearest: Costed


def extremes(space: SearchSpace) -> Extremes:
    """The ends of a space's costs, by MACs, then by parameters.

    Costs add up over the locations, so an end has the cheapest or the dearest choice at each of them.
    """
    from nas_attn.training.evaluation import CostTable

    table = CostTable(space.network, space.height, space.width)
    ends: tuple[dict[Location, AttentionSpec], ...] = ({}, {})
    for location, specs in space.choices:
        added = {spec: table.increment(location, spec)[::-1] for spec in specs}
        ends[0][location] = min(added, key=added.__getitem__)
        ends[1][location] = max(added, key=added.__getitem__)
    plain, cheapest, dearest = space.plain, *map(Placement.of, ends)
    return Extremes(*(Costed(placement, table(placement)) for placement in (plain, cheapest, dearest)))
