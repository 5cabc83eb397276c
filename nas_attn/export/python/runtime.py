"""What every exported file has in addition to the network. This is copied, so it imports only PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_attn.training.loss import image_scores

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64}


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name from a safetensors file, or from a file of torch.save that contains only tensors.

    Args:
        path: of the file; a safetensors file ends in .safetensors.
    """
    if Path(path).suffix != ".safetensors":
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return tensors
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {name: _tensor(content, start, entry) for name, entry in header.items()}


def _tensor(content: bytearray, start: int, entry: dict[str, Any]) -> Tensor:
    """One tensor from its entry in the header: dtype, shape, and the range of its bytes."""
    begin, end = entry["data_offsets"]
    values = torch.frombuffer(content[start + begin : start + end], dtype=torch.uint8)
    return values.view(_DTYPES[entry["dtype"]]).view(entry["shape"])


class TrainingHooks(nn.Module):
    """Two calls for a training loop, without which some attention never learns.

    Modules that follow the steps lower a temperature or draw new random numbers. Modules with a loss of their own
    learn where to look, or which classes are in an image.
    """

    def forward(self, *inputs: Tensor) -> Any:
        logits = super().forward(*inputs)
        if self.training:
            self.__dict__["latest_logits"] = logits.detach()
        return logits

    @torch.no_grad()
    def begin_step(self, step: int, steps: int) -> None:
        """Tell the modules the number of the next step.

        Args:
            step: its number, from 0.
            steps: of the whole training.
        """
        number = torch.tensor([step], device=next(self.parameters()).device)
        for key, child in enumerate(self.modules()):
            if child is not self and hasattr(child, "begin_step"):
                child.begin_step(number, steps, key)  # type: ignore[operator]

    def own_loss(self, masks: Tensor) -> Tensor:
        """The modules' own losses for the latest forward pass in training.

        Shape: class indices, (N, H, W), or 0 and 1 of each class that may overlap, (N, K, H, W) -> ().
        """
        scores = image_scores(self.__dict__["latest_logits"], masks)
        loss = scores.new_zeros(())
        for child in self.modules():
            if child is not self and hasattr(child, "own_loss"):
                loss = loss + child.own_loss(masks, scores)  # type: ignore[operator]
        return loss


def wants_hooks(network: nn.Module) -> bool:
    """Whether a module of the network follows the steps or has a loss of its own."""
    return any(hasattr(child, name) for child in network.modules() for name in ("begin_step", "own_loss"))
