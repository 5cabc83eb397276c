"""The optimisers by name, and what holds of a training whose files do not say it."""

from __future__ import annotations

from collections.abc import Mapping

from nas_attn.losses import UNASKED

MUON = "muon"
ADAMW = "adamw"
UNSAID: Mapping[str, object] = {**UNASKED, "optimiser": ADAMW, "muon_factor": 1.0}
"""Settings of a recipe that its plain values leave out."""
