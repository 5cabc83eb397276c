"""Costs of each attention at two sites, counted in advance: ``python -m nas_attn.cli._attention_costs``.

Counting takes torch and several seconds; looking up takes neither.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nas_attn.models.catalogue import KINDS, catalogue
from nas_attn.models.kind import AttentionKind
from nas_attn.models.placement import AttentionSpec, Location, Site, Stage

FILE = Path(__file__).with_name("attention_costs.json")


@dataclass(frozen=True)
class Example:
    """A site at which costs are shown.

    Args:
        channels: C of the feature map, before and after the block; the gating signal has twice as many at half the
            side.
        side: H and W of the feature map.
    """

    channels: int
    side: int

    def __str__(self) -> str:
        return f"C={self.channels} on {self.side}x{self.side}"

    def cost(self, kind: AttentionKind) -> tuple[int, int]:
        """Parameters and MACs of a kind with its defaults, for one image or one clip, and two classes.

        Those of nas-attn's own kinds are looked up; those of a user's kind are counted, which imports torch.
        """
        known = known_costs().get(kind.name)
        return known[str(self)] if known else self.counted(kind)

    def counted(self, kind: AttentionKind) -> tuple[int, int]:
        """Parameters and MACs of a kind, counted now."""
        from nas_attn.training.evaluation import own_cost

        bottleneck = Location(Stage.BOTTLENECK)
        frames = FRAMES if kind.needs_clip else 1
        site = Site(
            bottleneck,
            channels=self.channels,
            height=self.side,
            width=self.side,
            gate_channels=2 * self.channels,
            block_channels=self.channels,
            frames=frames,
            up_channels=self.channels,
        )
        return own_cost(AttentionSpec(kind.name), site, classes=2)

    @property
    def convolution(self) -> tuple[int, int]:
        """Parameters and MACs of the 3x3 convolution that a kind may replace."""
        return 9 * self.channels**2, 9 * self.channels**2 * self.side**2


FRAMES = 8
"""Number of frames of the clips for which costs are shown."""
SHALLOW, DEEP = Example(64, 64), Example(256, 16)


@functools.cache
def known_costs() -> Mapping[str, Mapping[str, tuple[int, int]]]:
    """Parameters and MACs by kind and site, as counted in advance."""
    written = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: {site: (parameters, macs) for site, (parameters, macs) in costs.items()}
        for name, costs in written.items()
    }


def write_costs() -> None:
    """Count the costs of nas-attn's own kinds and write one line for each."""
    own = {name: kind for name, kind in catalogue().items() if name not in KINDS.offered()}
    lines = (
        f'  "{name}": {json.dumps({str(site): site.counted(kind) for site in (SHALLOW, DEEP)})}'
        for name, kind in own.items()
    )
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write_costs()
