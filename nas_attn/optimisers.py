"""The optimisers by name."""

from __future__ import annotations

MUON = "muon"
ADAMW = "adamw"
UNSAID_OPTIMISER = ADAMW
"""Of a training whose files name none."""
