"""What a collapsed run is, in the words that are the same wherever one is told."""

from __future__ import annotations

COLLAPSED = "a run collapsed where it ended far below what its seed and its placement make expected"
