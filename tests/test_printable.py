"""Texts from outside, made safe for a terminal."""

from __future__ import annotations

import doctest
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from nas_attn import printable as module
from nas_attn.printable import harmless, printable


def test_the_examples_hold() -> None:
    assert doctest.testmod(module).failed == 0


@given(st.text(st.characters(codec=None)))
def test_what_is_left_moves_no_cursor_and_turns_no_line(text: str) -> None:
    letters = set(harmless(text)) - {"\n", "\t"}
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for letter in letters
    )
    assert "\xa0" not in letters
    harmless(text).encode()  # no lone byte of a file's name is left either


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])))
def test_words_and_signs_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@given(st.text())
def test_a_harmless_text_stays_the_same(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)


def test_a_name_is_one_line() -> None:
    assert printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert harmless("a\nb\x1b[31m") == "a\nb\\x1b[31m"
