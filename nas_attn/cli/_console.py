"""Where commands print: nothing that comes from outside is markup, moves the cursor or ends in a traceback."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from nas_attn.cli._stream import STDOUT
from nas_attn.printable import harmless

LEAST_WIDTH = 120


def wide_console(*, soft_wrap: bool = False, quiet: bool = False) -> Console:
    """The terminal; elsewhere (a pipe, a file, CI) at least 120 columns, so that tables keep their rows.

    Brackets, colons and colours in what is printed are letters like others.

    Args:
        soft_wrap: leave it to the terminal to break lines.
        quiet: print nothing.
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
    """The same without control characters; rich's own, for colours and the cursor, stay."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.shown, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


class _EverythingHarmless(RenderHook):
    """Whatever is printed; what a live display shows, it adds itself, and has to be made harmless there."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """A harmless one in place of each."""
        return [Harmless(one) for one in renderables]
