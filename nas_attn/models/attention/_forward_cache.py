"""What a module keeps of its forward pass for a loss of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class ForwardCache:
    """Tensors of the latest forward pass in training, until they are taken; a copy of a module has none."""

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, ...] = ()

    def keep(self, *tensors: Tensor) -> None:
        """Keep these in place of what was there."""
        self._tensors = tensors

    def take(self) -> tuple[Tensor, ...]:
        """Hand them out and forget them; empty where there was no forward pass in training."""
        tensors, self._tensors = self._tensors, ()
        return tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> ForwardCache:
        return ForwardCache()

    def __getstate__(self) -> dict[str, Any]:
        return {"_tensors": ()}
