"""Export architectures in formats that do not need nas-attn."""

from __future__ import annotations
