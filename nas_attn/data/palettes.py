"""Palettes of masks: an index means the same class in all files only where it has the same colour in all."""

from __future__ import annotations

from collections.abc import Iterable

from nas_attn.data.declaration import YAML_NAME, Declaration
from nas_attn.data.examine import Examined
from nas_attn.data.mask_reading import Colour
from nas_attn.data.problem import Problem, Sort, printable


def palette_problems(examined: Iterable[Examined], declaration: Declaration) -> list[Problem]:
    """The first index that has two colours, with a file for each; only indices in use are compared.

    Programs that make a palette for each image leave out what the image lacks, and what follows moves up. Where
    the indices themselves are declared, colours say nothing.
    """
    if declaration.mask_values is not None:
        return []
    first: dict[int, tuple[Colour, Examined]] = {}
    for each in examined:
        for index, colour in each.palette:
            known, other = first.setdefault(index, (colour, each))
            if known != colour:
                files = f"{printable(other.pair.mask)} and {printable(each.pair.mask)}"
                line = (
                    f"{files}: palettes differ: index {index} is {known} in the one and {colour} in the other; "
                    f"name the class of each colour in {YAML_NAME}, as mask_colors: {{background: [0, 0, 0], "
                    "cell: [220, 20, 60]}, or of each index as mask_values"
                )
                return [Problem(Sort.PALETTE, line)]
    return []
