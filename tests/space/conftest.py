"""Attention kinds that need no torch, and a short way to write a space file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas_attn.models.kind import GATED_STAGES, AttentionKind, Option
from nas_attn.space import SearchSpace, space_from_text

_KINDS = (
    AttentionKind("none", "no attention", "-"),
    AttentionKind(
        "se",
        "squeeze-and-excitation",
        "a paper",
        options=(Option("reduction", 16, "ratio", minimum=1), Option("scale", 1.0, "factor", minimum=0.5)),
    ),
    AttentionKind("cbam", "block attention", "a paper", options=(Option("bias", True, "whether to add one"),)),
    AttentionKind("scse", "both", "a paper", options=(Option("fusion", "add", "how", choices=("add", "max")),)),
    AttentionKind("gate", "attention gate", "a paper", stages=GATED_STAGES, needs_gate=True),
    AttentionKind("pam", "position attention", "a paper", quadratic=True, starts_as_identity=True),
)

HEAD = """\
version: 1
name: tried
network: {family: unet, depth: 2}
"""


@pytest.fixture(scope="session")
def kinds() -> dict[str, AttentionKind]:
    """none, se, cbam, scse, gate and pam, by name."""
    return {kind.name: kind for kind in _KINDS}


@pytest.fixture(scope="session")
def read(kinds: dict[str, AttentionKind]) -> Callable[[str], SearchSpace]:
    """Reads a whole file, given as text; errors call it ``f.yaml``."""
    return lambda text: space_from_text(text, kinds, where="f.yaml")


@pytest.fixture(scope="session")
def read_rest(read: Callable[[str], SearchSpace]) -> Callable[[str], SearchSpace]:
    """Reads what follows the head of a file: a U-Net of depth 2 on three lines, so the text starts at line 4."""
    return lambda text: read(HEAD + text)
