"""Random streams that depend on nothing but their key."""

from __future__ import annotations

import hashlib

import torch


def keyed_seed(*key: int | str) -> int:
    """A seed of 63 bits that differs wherever the key differs."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def keyed_generator(*key: int | str) -> torch.Generator:
    """A generator on the CPU, seeded by the key.

    Streams with different keys are independent: draws from one never shift another.
    """
    return torch.Generator().manual_seed(keyed_seed(*key))
