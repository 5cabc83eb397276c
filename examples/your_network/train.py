"""Somebody's own training script: discs of two colours, a loop, a checkpoint.

  python train.py model.pt                      as it was
  python train.py better.pt best.yaml           with the attention that a search has found

What a search changes in it are the three lines that end with "nas-attn".
"""

import sys

import torch
from small_unet import SmallUNet
from torch.nn import functional

import nas_attn  # nas-attn

SIZE, STEPS = 32, 60


def batch(seed: int, number: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, H, W) of noise with a disc each, and their masks (N, H, W)."""
    draw = torch.Generator().manual_seed(seed)
    centre = torch.randint(8, SIZE - 8, (number, 2, 1, 1), generator=draw)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    masks = (((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2) < 36).long()
    return torch.randn(number, 3, SIZE, SIZE, generator=draw) + masks[:, None], masks


def main(checkpoint: str, architecture: str | None) -> None:
    torch.manual_seed(0)
    model = SmallUNet()
    if architecture is not None:  # nas-attn
        model = nas_attn.insert(model, architecture)  # nas-attn
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        images, masks = batch(step)
        loss = functional.cross_entropy(model(images), masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save(model.state_dict(), checkpoint)
    print(f"loss {loss.item():.3f}, {sum(p.numel() for p in model.parameters())} parameters: {checkpoint}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
