"""(placement, budget, seed) -> Outcome, by training or by lookup in a synthetic task."""

from nas_attn.training.evaluation.attention_maps import attention_maps
from nas_attn.training.evaluation.cost_table import CostTable, own_cost
from nas_attn.training.evaluation.data_source import DataSource, PackedSets, pack_sets, read_sets, write_sets
from nas_attn.training.evaluation.evaluator import TrainingEvaluator
from nas_attn.training.evaluation.latency import LatencyBench, measure_latency_model
from nas_attn.training.evaluation.lookup import LookupEvaluator
from nas_attn.training.evaluation.memory_table import MemoryTable

__all__ = [
    "CostTable",
    "DataSource",
    "LatencyBench",
    "LookupEvaluator",
    "MemoryTable",
    "PackedSets",
    "TrainingEvaluator",
    "attention_maps",
    "measure_latency_model",
    "own_cost",
    "pack_sets",
    "read_sets",
    "write_sets",
]
