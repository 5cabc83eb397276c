"""Any text and any change of a good file is read or refused in words; nothing in it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from nas_attn.architecture import Architecture
from nas_attn.architecture.read import parse_architecture
from nas_attn.architecture.write import architecture_text
from nas_attn.errors import ExportError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import AttentionKind

KINDS: Mapping[str, AttentionKind] = catalogue()
MARKS = ["", "-", ": ", "[", "]", "{", "}", "&a", "*a", "!!int ", "~", "\n", " ", '"', "1e9", "-1", ".nan", "0x9"]


def reads_or_refuses(text: str) -> None:
    """Any other exception than an ExportError is left to fail the test."""
    problems: tuple[str, ...] = ()
    try:
        parse_architecture(text, "best.yaml", KINDS)
    except ExportError as error:
        problems = error.problems
        assert problems
    assert all(line.isprintable() for line in problems), problems


@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    reads_or_refuses(text)
    reads_or_refuses(f"format: 1\n{text}")


def test_any_change_of_a_good_file_is_read_or_refused(architecture: Architecture) -> None:
    good = architecture_text(architecture, KINDS, "best.yaml")

    @settings(max_examples=150)
    @given(data=st.data())
    def change(data: st.DataObject) -> None:
        text = good
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(text)))
            end = data.draw(st.integers(start, min(len(text), start + 8)))
            text = text[:start] + data.draw(st.sampled_from(MARKS) | st.text(max_size=5)) + text[end:]
        reads_or_refuses(text)

    change()


@pytest.mark.parametrize(
    "text",
    [
        "format: !!python/object/apply:os.system [touch executed]",
        "format: 1\nnetwork: !!python/name:os.system\n",
        "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n",
        "format: " + "[" * 5000,
    ],
    ids=["object", "name", "aliases", "nesting"],
)
def test_harm_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError):
        parse_architecture(text, "best.yaml", KINDS)
    assert not list(tmp_path.iterdir())
