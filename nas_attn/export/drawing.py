"""Draw a placement in letters."""

from __future__ import annotations

from nas_attn.models.described_network import Network
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage

_COLUMNS = (Stage.ENCODER, Stage.SKIP, Stage.DECODER)
_NO_PLACE = ""


def draw_in_letters(network: Network, placement: Placement) -> str:
    """The network as lines of text, level by level, with the attention of each location."""
    specs = dict(placement)
    cells = [[_cell(specs, Location(stage, level)) for stage in _COLUMNS] for level in range(network.depth)]
    widths = [max(len(str(stage)), *(len(row[column]) for row in cells)) for column, stage in enumerate(_COLUMNS)]
    channels = [_channels(network, level) for level in range(network.depth)]
    bottleneck = Location(Stage.BOTTLENECK)
    channels.append(str(network.channels_at(bottleneck)) if bottleneck in specs else "")
    digits = max(map(len, channels))
    head = "      ".join(f"{stage!s:<{width}}" for stage, width in zip(_COLUMNS, widths, strict=True))
    lines = [f"level  {'C':>{digits}}  {head}".rstrip()]
    for level, row in enumerate(cells):
        skip = Location(Stage.SKIP, level) in specs
        joints = ("  --> " if skip else "      ",) * 2
        first, second, third = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        shown = f"{first}{joints[0]}{second}{joints[1]}{third}"
        lines.append(f"{level:>5}  {channels[level]:>{digits}}  {shown}".rstrip())
    lowest = f"bottleneck: {_cell(specs, bottleneck)}"
    lines.append(f"{network.depth:>5}  {channels[-1]:>{digits}}  {' ' * (widths[0] + 6)}{lowest}")
    return "\n".join(lines)


def _channels(network: Network, level: int) -> str:
    """C at a level: of the decoder if it has a location there, otherwise of the encoder."""
    for stage in (Stage.ENCODER, Stage.DECODER, Stage.SKIP):
        if (location := Location(stage, level)) in network.locations:
            return str(network.channels_at(location))
    return ""


def _cell(specs: dict[Location, AttentionSpec], location: Location) -> str:
    if location not in specs:
        return _NO_PLACE
    return "-" if specs[location].kind == "none" else str(specs[location])
