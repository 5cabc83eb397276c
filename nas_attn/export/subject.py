"""What is taken away: an architecture, and its weights where it has been trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.architecture import Architecture
from nas_attn.reporting.presentation.report_facts import study_space
from nas_attn.study.database.ledger import Ledger

if TYPE_CHECKING:  # torch is imported where a network is built
    from nas_attn.models.adapted import AdaptedNetwork
    from nas_attn.models.unet import UNet
    from nas_attn.training.full.weights import WeightsInfo

START_SEED = 0


@dataclass(frozen=True)
class Subject:
    """An architecture with what is known of its weights.

    Args:
        architecture: what it is.
        weights: file with the weights of a training; None where there was none.
        trained: what that file says of itself; None likewise.
        ledger: of the study that it was picked from; None where there is none.
        study_file: that repeats this study's search; None where there is none.
    """

    architecture: Architecture
    weights: Path | None = None
    trained: WeightsInfo | None = None
    ledger: Ledger | None = None
    study_file: Path | None = None

    @property
    def counted_size(self) -> tuple[int, int]:
        """H and W for which MACs are counted: those of the study, or else of the crops of its search."""
        if self.ledger is None:
            return self.architecture.image_size, self.architecture.image_size
        space = study_space(self.ledger)
        return space.height, space.width

    @property
    def longest_side(self) -> int | None:
        """To which larger images were shrunk, in pixels; None where they were not, or where that is not known."""
        if self.trained is not None:
            return self.trained.longest_side
        asked = {} if self.ledger is None else self.ledger.context.get("request", {})
        side = asked.get("longest_side")
        return side if isinstance(side, int) else None

    def network(self) -> UNet | AdaptedNetwork:
        """The network in eval mode, with the trained weights, or else with the start of seed 0.

        Raises:
            ExportError: the weights do not belong to the architecture.
        """
        from nas_attn.models.build import build_network
        from nas_attn.training.full import architecture_id
        from nas_attn.training.full.weights import load_weights
        from nas_attn.training.start import fresh_network

        if self.weights is None:
            return fresh_network(self.architecture.network, self.architecture.placement, START_SEED).eval()
        network = build_network(self.architecture.network, self.architecture.placement)
        load_weights(self.weights, network, architecture_id(self.architecture))
        return network.eval()
