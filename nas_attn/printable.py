"""Make names and texts from outside safe to print, and check which names can be written, shown and read again."""

from __future__ import annotations

import unicodedata

MOST_LETTERS = 200
_LAYOUT = "\n\t"
_SHOWN = 40
_MOST_OF_A_FILE = 80


def printable(name: object) -> str:
    r"""A name with everything escaped that could break a line or hide something: control characters, symbols, lone
    bytes.

    >>> printable("röntgen\n1.png")
    'röntgen\\n1.png'
    """
    return "".join(letter if _is_plain(letter) else _escaped(letter) for letter in str(name))


def harmless(text: str) -> str:
    r"""A text of several lines, with our own words and names of others, without anything that controls a terminal.

    Invisible characters are escaped: control characters such as ESC, marks that change the direction of writing,
    spaces that look like others, lone bytes of a file's name. Line breaks and tabs stay.

    >>> harmless("class \x1b[2J\u202egnp.exe: ±1")
    'class \\x1b[2J\\u202egnp.exe: ±1'
    """
    if all(map(_is_seen, text)):
        return text
    return "".join(letter if _is_seen(letter) else _escaped(letter) for letter in text)


def name_problem(name: str) -> str | None:
    r"""Why a name cannot be used; None if it can.

    The rule is the same for everything that reads or writes a name, so that an export accepts every name that a
    search accepts. Brackets, markup and letters of any script are allowed; invisible characters are not.

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


def plain_name(name: str, also: str = "") -> str:
    """A name without characters that have a meaning in a file system, and short enough for one.

    Args:
        name: any.
        also: characters that are allowed in addition to letters, digits, ``-`` and ``_``.
    """
    kept = f"-_{also}"
    return "".join(letter if letter.isalnum() or letter in kept else "_" for letter in name)[:_MOST_OF_A_FILE]


def _is_seen(letter: str) -> bool:
    return letter.isprintable() or letter in _LAYOUT


def _is_plain(letter: str) -> bool:
    return letter.isprintable() and (letter.isascii() or unicodedata.category(letter)[0] not in "SC")


def _escaped(letter: str) -> str:
    return ascii(letter)[1:-1]


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
