"""A colour for each kind of attention, the same in every drawing; all bear the same dark text."""

from __future__ import annotations

from hashlib import sha256

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


def colour_of_kind(kind: str) -> str:
    """As ``#rrggbb``; kinds beyond the usual ones share the colours, and bear their names all the same."""
    chosen = int(sha256(kind.encode()).hexdigest(), 16) % len(COLOURS)
    return _COLOURS.get(kind, COLOURS[chosen])
