"""The console of commands. Nothing that comes from outside is interpreted as markup, moves the cursor or fails
with a traceback."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from nas_attn.cli._stream import STDOUT
from nas_attn.printable import harmless

LEAST_WIDTH = 120


def wide_console(*, soft_wrap: bool = False, quiet: bool = False) -> Console:
    """The console of the terminal; elsewhere (a pipe, a file, CI) at least 120 columns, so that tables keep their
    rows.

    Brackets, colons and colours in printed text are ordinary letters.

    Args:
        soft_wrap: whether the terminal breaks lines.
        quiet: whether to print nothing.
    """
    console = Console(
        file=STDOUT.as_file(), highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap, quiet=quiet
    )
    if not console.is_terminal:
        console.width = max(LEAST_WIDTH, console.width)
    console.push_render_hook(_EverythingHarmless())
    return console


@dataclass(frozen=True)
class Harmless:
    """Something printable without control characters, except rich's own for colours and the cursor."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.shown, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


class _EverythingHarmless(RenderHook):
    """Makes everything that is printed harmless. A live display adds its content itself, so this has to be done at
    this point."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap each renderable."""
        return [Harmless(one) for one in renderables]
