"""Tensors that a module keeps from its forward pass for its auxiliary loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class ForwardCache:
    """Tensors of the latest forward pass in training, kept until they are taken. A copy of the cache is empty."""

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, ...] = ()

    def keep(self, *tensors: Tensor) -> None:
        """Store these tensors in place of the previous ones."""
        self._tensors = tensors

    def take(self) -> tuple[Tensor, ...]:
        """Return the tensors and forget them; empty if there was no forward pass in training."""
        tensors, self._tensors = self._tensors, ()
        return tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> ForwardCache:
        return ForwardCache()

    def __getstate__(self) -> dict[str, Any]:
        return {"_tensors": ()}
