"""What every exported file holds besides the network: copied into it, so it imports nothing but PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64}


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a safetensors file, or from one of torch.save that holds nothing but tensors.

    Args:
        path: of the file; the former ends in .safetensors.
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
    """One tensor by its entry in the header: dtype, shape, and from where to where its bytes lie."""
    begin, end = entry["data_offsets"]
    values = torch.frombuffer(content[start + begin : start + end], dtype=torch.uint8)
    return values.view(_DTYPES[entry["dtype"]]).view(entry["shape"])
