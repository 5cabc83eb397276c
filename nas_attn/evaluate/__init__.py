"""(placement, budget, seed) -> Outcome: by training, or by looking it up in a made-up task."""

from nas_attn.evaluate.attention_maps import attention_maps
from nas_attn.evaluate.costs import CostTable, own_cost
from nas_attn.evaluate.evaluator import TrainingEvaluator
from nas_attn.evaluate.lookup import LookupEvaluator
from nas_attn.evaluate.memory_table import MemoryTable
from nas_attn.evaluate.sets import PackedSets, pack_sets, read_sets, write_sets
from nas_attn.evaluate.source import DataSource

__all__ = [
    "CostTable",
    "DataSource",
    "LookupEvaluator",
    "MemoryTable",
    "PackedSets",
    "TrainingEvaluator",
    "attention_maps",
    "own_cost",
    "pack_sets",
    "read_sets",
    "write_sets",
]
