"""A placement drawn in letters."""

from __future__ import annotations

from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage

_COLUMNS = (Stage.ENCODER, Stage.SKIP, Stage.DECODER)


def draw_in_letters(network: UNetConfig, placement: Placement) -> str:
    """The U-Net as lines of text, level by level, with each location's attention at its place.

    Args:
        network: the U-Net.
        placement: one attention for each of the network's locations.
    """
    cells = [[_shown(placement[Location(stage, level)]) for stage in _COLUMNS] for level in range(network.depth)]
    widths = [max(len(str(stage)), *(len(row[column]) for row in cells)) for column, stage in enumerate(_COLUMNS)]
    channels = [str(network.channels(level)) for level in range(network.depth + 1)]
    digits = max(map(len, channels))
    head = "      ".join(f"{stage!s:<{width}}" for stage, width in zip(_COLUMNS, widths, strict=True))
    lines = [f"level  {'C':>{digits}}  {head}".rstrip()]
    for level, row in enumerate(cells):
        shown = "  --> ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        lines.append(f"{level:>5}  {channels[level]:>{digits}}  {shown}".rstrip())
    bottleneck = f"bottleneck: {_shown(placement[Location(Stage.BOTTLENECK)])}"
    lines.append(f"{network.depth:>5}  {channels[-1]:>{digits}}  {' ' * (widths[0] + 6)}{bottleneck}")
    return "\n".join(lines)


def _shown(spec: AttentionSpec) -> str:
    return "-" if spec.kind == "none" else str(spec)
