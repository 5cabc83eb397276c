"""What makes a network, and a run, the same one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from nas_attn.export import Architecture
from nas_attn.fit.plan import FitPlan


def architecture_id(architecture: Architecture) -> str:
    """Ten hexadecimal digits that are the same wherever network and placement are the same."""
    network = architecture.network
    clips = f" frames={network.frames}" if network.frames > 1 else ""
    return hashlib.sha256(f"{network!r}{clips} {architecture.placement}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class RunIdentity:
    """What must be the same for a training to go on in a folder.

    Args:
        architecture: id of the network.
        data: name of the data set.
        fingerprint: of the data set.
        plan: of the training.
    """

    architecture: str
    data: str
    fingerprint: str
    plan: FitPlan

    def to_dict(self) -> dict[str, Any]:
        """Plain values, flat, for JSON."""
        return {**{name: value for name, value in vars(self).items() if name != "plan"}, **self.plan.to_dict()}
