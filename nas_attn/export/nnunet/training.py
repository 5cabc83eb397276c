"""What a trainer of nnU-Net does for attention that needs more than a forward pass. This is copied into the
file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nas_attn.data.dataset import IGNORED
from nas_attn.training.loss import image_scores


class FollowingTrainer:
    """A trainer that tells the attention the number of the step, and adds the attention's own loss."""

    def on_train_epoch_start(self) -> None:
        self.steps_of_epoch = 0
        super().on_train_epoch_start()  # type: ignore[misc]

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.begin_step()
        self.steps_of_epoch += 1
        result: dict[str, Any] = super().train_step(batch)  # type: ignore[misc]
        return result

    @torch.no_grad()
    def begin_step(self: Any) -> None:
        """Tell the attention the number of the step, from 0, and the number of all steps."""
        done = self.current_epoch * self.num_iterations_per_epoch + self.steps_of_epoch
        number = torch.tensor([done], device=self.device)
        for key, child in enumerate(self.network.modules()):
            if hasattr(child, "begin_step"):
                child.begin_step(number, self.num_epochs * self.num_iterations_per_epoch, key)

    def _build_loss(self: Any) -> Any:
        loss = super()._build_loss()  # type: ignore[misc]
        asking = [child for child in self.network.modules() if hasattr(child, "own_loss")]
        if not asking:
            return loss
        if self.label_manager.has_regions:
            raise ValueError("an attention here has a loss of its own, which works on labels and not on regions")
        return AddedLoss(loss, asking, self.label_manager.ignore_label)


class AddedLoss(nn.Module):
    """A loss, plus the losses of some modules in training.

    Args:
        loss: of the trainer.
        asking: the modules.
        ignored: the label that does not count; None if all do.
    """

    def __init__(self, loss: nn.Module, asking: list[Any], ignored: int | None) -> None:
        super().__init__()
        self.loss = loss
        self.asking = tuple(asking)  # parts of the network, and none of the loss
        self.ignored = ignored

    def forward(self, output: Any, target: Any) -> Tensor:
        total: Tensor = self.loss(output, target)
        if not self.asking[0].training:
            return total
        logits, labels = (one[0] if isinstance(one, list | tuple) else one for one in (output, target))
        masks = labels[:, 0]
        if self.ignored is not None:
            masks = torch.where(masks == self.ignored, IGNORED, masks)
        scores = image_scores(logits.detach(), masks)
        for module in self.asking:
            total = total + module.own_loss(masks, scores)
        return total
