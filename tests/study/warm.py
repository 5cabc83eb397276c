"""What all searchers of a soak need, made once by the process that they are forked from: they work at once."""

from __future__ import annotations

from nas_attn.models.catalogue import catalogue
from nas_attn.space import read_space
from nas_attn.training.evaluation import CostTable

SPACE = read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)
COSTS = CostTable(SPACE.network, SPACE.height, SPACE.width)
for _placement in SPACE.placements():
    COSTS(_placement)
