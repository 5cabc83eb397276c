"""Texts from outside made safe to print: nothing in them moves a cursor, hides or breaks a line."""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"


def printable(name: object) -> str:
    r"""A name with everything escaped that could break a line or hide: control characters, symbols, lone bytes.

    >>> printable("röntgen\n1.png")
    'röntgen\\n1.png'
    """
    return "".join(letter if _is_plain(letter) else _escaped(letter) for letter in str(name))


def harmless(text: str) -> str:
    r"""A text of several lines, our own words and names of others, without what steers a terminal.

    Escaped is what no reader sees: control characters, ESC among them, marks that turn the direction of writing,
    spaces that look like others, lone bytes of a file's name. Lines and tabs stay.

    >>> harmless("class \x1b[2J\u202egnp.exe: ±1")
    'class \\x1b[2J\\u202egnp.exe: ±1'
    """
    if all(map(_is_seen, text)):
        return text
    return "".join(letter if _is_seen(letter) else _escaped(letter) for letter in text)


def _is_seen(letter: str) -> bool:
    return letter.isprintable() or letter in _LAYOUT


def _is_plain(letter: str) -> bool:
    return letter.isprintable() and (letter.isascii() or unicodedata.category(letter)[0] not in "SC")


def _escaped(letter: str) -> str:
    return ascii(letter)[1:-1]
