"""Which versions of the neutral start a set of attentions is trained from."""

from __future__ import annotations

import pytest

from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec
from nas_attn.models.start_versions import start_versions, unsaid_version

SECOND = ("bam", "cbam", "dynamic", "fca", "gala", "ge", "scse", "se")
"""Kinds whose hidden units learn as slowly as they are wide."""


def test_kinds_whose_neutral_start_has_changed_are_named_with_its_version() -> None:
    found = start_versions([AttentionSpec(name) for name in catalogue()], catalogue())
    assert found == {f"neutral start of {name}": 2 for name in SECOND}


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_another_start_has_no_version(start: str) -> None:
    specs = [AttentionSpec(name, (("start", start),)) for name in SECOND]
    assert start_versions(specs, catalogue()) == {}


def test_what_says_no_version_has_the_first() -> None:
    assert (unsaid_version("neutral start of se"), unsaid_version("seed")) == (1, None)
