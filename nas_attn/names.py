"""Which names of classes, data and studies can be written down, shown and read again."""

from __future__ import annotations

from nas_attn.printable import printable

MOST_LETTERS = 200
_SHOWN = 40


def name_problem(name: str) -> str | None:
    r"""Why a name cannot be used; None where it can.

    One rule for all who take a name and all who write one, so that what a search begins with, an export can end
    with: brackets, markup and letters of any script are names like others; what cannot be seen is not.

    >>> name_problem("Zellkern [rot]")
    >>> name_problem("cell\xa0wall")
    "'cell\\xa0wall' holds characters that cannot be shown (\\xa0); write it without them"
    """
    if not name.strip():
        return "is empty; write a word"
    if unseen := dict.fromkeys(letter for letter in name if not letter.isprintable()):
        told = " ".join(map(printable, list(unseen)[:5]))
        return f"'{printable(_short(name))}' holds characters that cannot be shown ({told}); write it without them"
    if len(name) > MOST_LETTERS:
        return f"'{printable(_short(name))}' has {len(name)} letters; at most {MOST_LETTERS} are possible"
    return None


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
