"""Notes of the dashboard, which reads them as Markdown with HTML in it."""

from __future__ import annotations

import doctest

import pytest
from markdown_it import MarkdownIt

from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.record import Role, State, TrialRecord
from nas_attn.reporting.page import dashboard, trial_note
from nas_attn.reporting.page.dashboard import literal

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](//evil.example/x.png)",
    "[click](javascript:alert(1))",
    "**bold** _it_ `code` ~~gone~~ # no heading | & &lt; \\<b>",
    "\x1b[2J \u202eabc",
]


def test_the_example_holds() -> None:
    assert doctest.testmod(dashboard).failed == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_a_literal_text_is_read_back_as_it_is(text: str) -> None:
    """Judged by another program: CommonMark, with HTML allowed."""
    (paragraph,) = (token for token in MarkdownIt().parse(literal(text)) if token.type == "inline")
    assert {child.type for child in paragraph.children or ()} <= {"text", "text_special"}
    shown = text.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert "".join(child.content for child in paragraph.children or ()) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_the_reason_of_a_failure_is_no_markup(text: str) -> None:
    network = UNetConfig(in_channels=1, classes=2, depth=2)
    record = TrialRecord(3, network.plain, Budget(4, 16, 2), 0, Role.REFERENCE, State.FAILED, failure=text)

    assert f"It failed: {literal(text)}." in trial_note(record, None)
