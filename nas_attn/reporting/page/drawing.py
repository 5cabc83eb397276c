"""Draw a placement: the U-Net with its modules at their locations, as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from html import escape
from itertools import pairwise

from nas_attn.models.described_network import Network
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement, Stage
from nas_attn.wording.placements import describe, shortened

_LETTERS = 16
_FONT = 'font-family="system-ui,sans-serif" text-anchor="middle"'
# A page may set these variables; an image sets them itself where its reader prefers the dark.
_INK = "var(--ink,#1f2933)"
_LINE = "var(--line,#7b8794)"
_RING = "var(--ring,#ffffff)"
_BLOCK = "var(--block,#e4e7eb)"
_MODULE_INK = "#08131c"
_DARK = {
    "ground": "#14181d",
    "ink": "#e8ecf0",
    "line": "#8695a3",
    "ring": "#14181d",
    "block": "#2a323b",
}

# After Tol (2021), the light scheme: told apart with every common kind of colour blindness, on black and white.
_COLOURS = {
    "se": "#77aadd",
    "eca": "#99ddff",
    "cbam": "#44bb99",
    "scse": "#bbcc33",
    "ca": "#eedd88",
    "gate": "#ee8866",
    "pam": "#ffaabb",
    "bam": "#c9b0e8",
    "tam": "#d0b48c",
    "gltr": "#b7c9b0",
}
COLOURS = tuple(_COLOURS.values())
_BLOCK_WIDTH, _BLOCK_HEIGHT = 34, 26
_MODULE_WIDTH, _MODULE_HEIGHT = 68, 22
_MARGIN = 12
_ROW = 62
_STEP = _BLOCK_WIDTH // 2 + 3 + _MODULE_WIDTH // 2
"""Distance between the centres of a block and its module."""
_INDENT = 6
"""Indentation of each level: small, so that the drawing is legible on a phone."""
_AROUND_SKIP = 14
_TOP = 38


def draw_unet(network: Network, placement: Placement) -> str:
    """The U-Net with a placement's modules, as one SVG element for a page.

    A block shows its number of channels, a module its kind; a small ring marks a location without attention. The
    title and the description of the element say the same in words.

    Args:
        network: to draw.
        placement: one attention for each of the network's locations.
    """
    return _drawing(network, placement, "")


def unet_image(network: Network, placement: Placement) -> str:
    """The same drawing as a file: dark on white, or light on near-black in dark mode."""
    variables = "".join(f"--{name}:{colour};" for name, colour in _DARK.items())
    style = f"<style>@media (prefers-color-scheme: dark) {{ svg {{ {variables} }} }}</style>"
    return _drawing(network, placement, style)


def opening(network: Network) -> str:
    """The opening tag of a drawing."""
    geometry = _Geometry(network)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {geometry.width} {geometry.height}" '
        f'width="{geometry.width}" height="{geometry.height}">'
    )


def tell(network: Network, placement: Placement) -> str:
    """The content of a drawing, in a sentence."""
    parts = [f"{spec} at {location}" for location, spec in placement.attended]
    attention = f"attention: {', '.join(parts)}" if parts else "no attention"
    return f"{network.headline}; {attention}."


def draw_backbone(network: Network) -> str:
    """The blocks and their connections, which are the same for every placement of a network."""
    geometry = _Geometry(network)
    places = [location for location in network.locations if location.stage is not Stage.SKIP]
    ground = f'<rect width="{geometry.width}" height="{geometry.height}" rx="6" fill="var(--ground,#ffffff)"/>'
    blocks = "".join(_block(network, geometry, place) for place in places)
    return f'{ground}{_joints(network, geometry)}<g {_FONT} font-size="11" fill="{_INK}">{blocks}</g>'


def draw_modules(network: Network, placement: Placement) -> str:
    """The modules of a placement, and rings at locations without one."""
    geometry = _Geometry(network)
    parts = "".join(_module(geometry.module(location), location, spec) for location, spec in placement)
    return f'<g {_FONT} font-size="12" fill="{_MODULE_INK}">{parts}</g>'


def _drawing(network: Network, placement: Placement, style: str) -> str:
    return (
        f"{opening(network)}<title>{escape(describe(placement))}</title>"
        f"<desc>{escape(tell(network, placement))}</desc>{style}"
        f"{draw_backbone(network)}{draw_modules(network, placement)}</svg>"
    )


def _joints(network: Network, geometry: _Geometry) -> str:
    """The paths of features: down along the encoder, across the skips, up along the decoder."""
    known = set(network.locations)
    bottleneck = Location(Stage.BOTTLENECK)
    levels = range(network.depth)
    encoder = [one for level in levels if (one := Location(Stage.ENCODER, level)) in known]
    decoder = [one for level in reversed(levels) if (one := Location(Stage.DECODER, level)) in known]
    lines = [_line(geometry.block(place), geometry.module(place)) for place in (*encoder, bottleneck, *decoder)]
    for above, below in pairwise([*encoder, bottleneck]):
        entry = geometry.block(below)
        lines.append(_elbow(geometry.module(above), _Point(entry.x, entry.y - _BLOCK_HEIGHT // 2), "v"))
    for below, above in pairwise([bottleneck, *decoder]):
        entry = geometry.block(above)
        lines.append(_elbow(geometry.module(below), _Point(entry.x, entry.y + _BLOCK_HEIGHT // 2), "^"))
    for level in levels:
        down, up = Location(Stage.ENCODER, level), geometry.block(Location(Stage.DECODER, level))
        if Location(Stage.SKIP, level) in known or (down in known and Location(Stage.DECODER, level) in known):
            lines.append(_line(geometry.module(down), _Point(up.x - _BLOCK_WIDTH // 2, up.y), ">", dashes="5 3"))
    return f'<g stroke="{_LINE}" stroke-width="1.5" fill="none">{"".join(lines)}</g>'


def _line(start: _Point, end: _Point, head: str = "", dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = f'<path d="M{start.x} {start.y}L{end.x} {end.y}"{dashed}/>'
    return f"{line}{_head(end, head)}" if head else line


def _elbow(start: _Point, end: _Point, head: str) -> str:
    """A path up or down to halfway, then horizontally, then on."""
    halfway = (start.y + end.y) // 2
    return f'<path d="M{start.x} {start.y}V{halfway}H{end.x}V{end.y}"/>{_head(end, head)}'


def _head(end: _Point, head: str) -> str:
    barbs = {"v": "l-4 -6m4 6l4 -6", "^": "l-4 6m4 -6l4 6", ">": "l-6 -4m6 4l-6 4"}[head]
    return f'<path d="M{end.x} {end.y}{barbs}"/>'


def _block(network: Network, geometry: _Geometry, location: Location) -> str:
    level = network.level_of(location)
    channels, middle = network.channels_at(location), geometry.block(location)
    return (
        f"<g><title>{location}: {channels} channels at 1/{2**level} of the resolution</title>"
        f'{_box(middle, _BLOCK_WIDTH, _BLOCK_HEIGHT, 3)} fill="{_BLOCK}" stroke="{_LINE}"/>'
        f"{_text(middle, str(channels))}</g>"
    )


def _module(middle: _Point, location: Location, spec: AttentionSpec) -> str:
    if spec == NONE:
        return (
            f'<circle cx="{middle.x}" cy="{middle.y}" r="4" fill="{_RING}" stroke="{_LINE}">'
            f"<title>{location}: no attention</title></circle>"
        )
    options = ", ".join(f"{name}={value}" for name, value in spec.options)
    # Where no arrow leaves the module: from the encoder's they go down, from the decoder's up.
    side = -1 if location.stage is Stage.ENCODER else 1
    beside = _Point(middle.x, middle.y + side * (_MODULE_HEIGHT // 2 + 7))
    small = f'<g font-size="9" fill="{_INK}">{_text(beside, shortened(options, _LETTERS))}</g>'
    return (
        f"<g><title>{location}: {escape(str(spec))}</title>"
        f'{_box(middle, _MODULE_WIDTH, _MODULE_HEIGHT, 11)} fill="{colour_of_kind(spec.kind)}"/>'
        f"{_text(middle, shortened(spec.kind, 9))}{small if options else ''}</g>"
    )


def _box(middle: _Point, width: int, height: int, radius: int) -> str:
    """The beginning of a rectangle's tag, without colours."""
    x, y = middle.x - width // 2, middle.y - height // 2
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"'


def _text(middle: _Point, text: str) -> str:
    return f'<text x="{middle.x}" y="{middle.y}" dy=".35em">{escape(text)}</text>'


def colour_of_kind(kind: str) -> str:
    """The colour as ``#rrggbb``. Kinds beyond the usual ones share colours, but still show their names."""
    chosen = int(sha256(kind.encode()).hexdigest(), 16) % len(COLOURS)
    return _COLOURS.get(kind, COLOURS[chosen])


@dataclass(frozen=True)
class _Point:
    """The centre of a part, in pixels from the upper left corner."""

    x: int
    y: int


@dataclass(frozen=True)
class _Geometry:
    """The layout of a narrow U: the encoder goes down on the left, the decoder up on the right, and each module is
    to the right of its block.

    Args:
        network: to draw.
    """

    network: Network

    @property
    def width(self) -> int:
        """Width of the drawing, in pixels."""
        return self.module(Location(Stage.DECODER, 0)).x + _MODULE_WIDTH // 2 + _MARGIN

    @property
    def height(self) -> int:
        """Height of the drawing, in pixels."""
        return self.block(Location(Stage.BOTTLENECK)).y + _TOP

    def block(self, location: Location) -> _Point:
        """Centre of the block of a location. A skip has no block and uses the place of its module."""
        if location.stage is Stage.SKIP:
            return self.module(location)
        module = self.module(location)
        return _Point(module.x - _STEP, module.y)

    def module(self, location: Location) -> _Point:
        """Centre of the attention at a location."""
        depth, level = self.network.depth, location.level
        down = _MARGIN + _BLOCK_WIDTH // 2 + _STEP
        middle = down + (depth - 1) * _INDENT + _MODULE_WIDTH + _AROUND_SKIP
        if location.stage is Stage.ENCODER:
            return _Point(down + level * _INDENT, _row(level))
        if location.stage is Stage.BOTTLENECK:
            return _Point(middle + _STEP // 2, _row(depth))
        if location.stage is Stage.SKIP:
            return _Point(middle, _row(level))
        lowest = middle + _MODULE_WIDTH // 2 + _AROUND_SKIP + _BLOCK_WIDTH // 2 + _STEP
        return _Point(lowest + (depth - 1 - level) * _INDENT, _row(level))


def _row(level: int) -> int:
    return _TOP + level * _ROW
