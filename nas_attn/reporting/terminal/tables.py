"""The style of the terminal's tables, and their columns of numbers."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def slim_table() -> Table:
    """A table without columns and without a border."""
    return Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, collapse_padding=True)


def add_numbers(table: Table, *titles: str) -> None:
    """Add right-aligned columns that are never cut off."""
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
