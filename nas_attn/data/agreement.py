"""Check that the files of a data set agree: images in their channels, masks in their palettes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from nas_attn.data.declaration import YAML_NAME, Declaration
from nas_attn.data.examine import Examined
from nas_attn.data.mask_reading import Colour
from nas_attn.data.picture import can_have_channels
from nas_attn.data.problem import Problem, Sort, first_few, printable

_GREY, _RGB = 1, 3
_EXAMPLES = 3


def find_channels(
    examined: Sequence[Examined], declaration: Declaration
) -> tuple[int | None, list[Problem], list[str]]:
    """The number of channels that all images can have; None if there is none.

    Grey images among RGB ones become RGB. RGB images whose channels are all the same become grey if one channel is
    declared.
    """
    counts = Counter(each.channels for each in examined)
    if not counts:
        return None, [], []
    wanted = declaration.in_channels or (_RGB if set(counts) == {_GREY, _RGB} else counts.most_common(1)[0][0])
    misfits = [each for each in examined if not can_have_channels(each.channels, each.is_grey, wanted)]
    alike: dict[int, list[Examined]] = defaultdict(list)
    for each in misfits:
        alike[each.channels].append(each)
    lines = [f"{_examples(alike[channels])}: {channels} channels, not {wanted}" for channels in sorted(alike)]
    found = [*(Problem(Sort.CHANNELS, line) for line in lines), *_mixed_depths(examined)]
    return (None if misfits else wanted), found, [] if misfits else _notes(examined, wanted)


def _mixed_depths(examined: Sequence[Examined]) -> list[Problem]:
    deep = [each for each in examined if each.bits == 16]
    if not deep or len(deep) == len(examined):
        return []
    rare = min(deep, [each for each in examined if each.bits == 8], key=len)
    line = f"{_examples(rare)}: {rare[0].bits} bits a channel, the others have {24 - rare[0].bits}; save all alike"
    return [Problem(Sort.CHANNELS, line)]


def _notes(examined: Sequence[Examined], wanted: int) -> list[str]:
    changed = sum(each.channels != wanted for each in examined)
    if changed:
        what = (
            "grey images are read as RGB" if wanted == _RGB else "RGB images with equal channels are read as grey"
        )
        return [f"{changed} {what}"]
    if wanted == _RGB and all(each.is_grey for each in examined):
        return [f"all images are grey, stored as RGB; 'in_channels: 1' in {YAML_NAME} reads them as one channel"]
    return []


def _examples(examined: Sequence[Examined]) -> str:
    return first_few([each.pair.image for each in examined], _EXAMPLES)


def palette_problems(examined: Iterable[Examined], declaration: Declaration) -> list[Problem]:
    """The first index with two colours, with a file for each; only indices in use are compared.

    Programs that make a palette for each image skip the classes that the image lacks, so that later indices shift.
    If the indices themselves are declared, colours do not matter.
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
                    f"{files}: their palettes differ: index {index} is {known} in the one and {colour} in the "
                    "other; "
                    f"name the class of each colour in {YAML_NAME}, as mask_colors: {{background: [0, 0, 0], "
                    "cell: [220, 20, 60]}, or of each index as mask_values"
                )
                return [Problem(Sort.PALETTE, line)]
    return []
