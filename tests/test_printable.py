"""Names and texts from outside: what can be written down and read again, and made safe for a terminal."""

from __future__ import annotations

import doctest
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn import printable as module
from nas_attn.architecture import Architecture, read_architecture, write_architecture
from nas_attn.errors import ExportError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, Placement
from nas_attn.printable import MOST_LETTERS, harmless, name_problem, printable


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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "is empty; write a word"),
        (" ", "is empty; write a word"),
        ("a\xa0b", "'a\\xa0b' holds characters that cannot be shown (\\xa0)"),
        ("a\x1b[31mb", "(\\x1b)"),
        ("\u202eabc", "(\\u202e)"),
        ("a\nb", "(\\n)"),
        ("x" * 201, "has 201 letters; at most 200 are possible"),
    ],
)
def test_what_cannot_be_shown_is_told(name: str, told: str) -> None:
    assert told in (name_problem(name) or "")


@given(st.text(max_size=MOST_LETTERS))
def test_an_export_takes_every_name_that_a_search_begins_with(name: str) -> None:
    network = UNetConfig(in_channels=1, classes=2, depth=2, base_channels=4)
    placement = Placement.of(dict.fromkeys(network.locations, NONE))
    one = Architecture(network, placement, ("other", "thing"), (0.0,), (1.0,), 16)
    if name_problem(name) is None:
        replace(one, classes=("other", name))
    elif not name.isprintable() and name.strip():
        with pytest.raises(ExportError, match=r"classes: .* cannot be shown"):
            replace(one, classes=("other", name))


@pytest.mark.parametrize(
    "name", ["[/x]", "[red]", ":bomb:", "null", "1e5", "a: b", "'\"", "<b>&", "%s{x}", "日本 ±"]
)
def test_a_name_that_is_taken_is_read_back(tmp_path: Path, name: str) -> None:
    network = UNetConfig(in_channels=1, classes=2, depth=2, base_channels=4)
    placement = Placement.of(dict.fromkeys(network.locations, NONE))
    one = Architecture(network, placement, ("other", name), (0.0,), (1.0,), 16)
    assert name_problem(name) is None

    assert read_architecture(write_architecture(one, tmp_path / "a.yaml", catalogue()), catalogue()) == one
