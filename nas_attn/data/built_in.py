"""The tasks that need no data of the user's, by the word that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas_attn.data.dataset import Dataset
from nas_attn.data.smears import smears
from nas_attn.data.synthetic import synthetic, synthetic_null
from nas_attn.data.synthetic_clips import synthetic_clips

BUILT_IN: Mapping[str, Callable[..., Dataset]] = {
    "synthetic": synthetic,
    "synthetic-null": synthetic_null,
    "smears": smears,
    "clips": synthetic_clips,
}
"""All take ``image_size``, ``seed``, ``n_train``, ``n_val`` and ``n_test``."""
