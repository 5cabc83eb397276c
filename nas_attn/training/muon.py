"""Muon: the update of a kernel is its momentum made orthogonal, so that all of its directions learn alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

_LEAST_SIDE = 4
"""What has fewer rows or columns has no directions that could learn unlike."""
_WIDEST_SIDE = 64
"""What has more of both takes as long to make orthogonal, on a CPU, as a step otherwise, and gains nothing."""
_ROUNDS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
)
"""a, b and c of aX + b(XX^T)X + c(XX^T)^2 X in each round."""
_RMS_OF_ADAM = 0.2
_EPSILON = 1e-7


def is_matrix(kernel: nn.Parameter) -> bool:
    """Whether Muon shall train a kernel: of a convolution that sees neighbours, (outputs, inputs, height, width),
    its outputs one after another in memory, by its narrower side at least 4 wide and at most 64.

    What sees one position, as the layers of a gate do, learns as well by AdamW.
    """
    if kernel.ndim != 4 or kernel.shape[2:].numel() <= 1 or kernel.numel() == 0:
        return False
    rows = kernel.shape[0]
    columns = kernel.numel() // rows
    return _LEAST_SIDE <= min(rows, columns) <= _WIDEST_SIDE and kernel.stride(0) == columns


def orthogonal(stacks: Sequence[Tensor]) -> list[Tensor]:
    """Each matrix with its singular values brought near to 1, but for the smallest of them.

    The first three rounds of Polar Express (Amsel et al. 2025, arXiv:2505.16932, algorithm 1). Each multiplies a
    matrix X from the left by a polynomial in X X^T, so all are multiplied before X is, and for all stacks of one
    height together: a step then takes few operations, and only the first product and the last are as long as a
    kernel has inputs. Singular values between a thousandth of the norm and the norm come out between 0.13 and 1.9.
    More rounds bring them nearer to 1, and networks no further. A matrix of zeros stays one.

    Args:
        stacks: of matrices, (B, m, n) each.
    Returns:
        the same shapes.
    """
    wide = [stack.mT if stack.shape[-2] > stack.shape[-1] else stack for stack in stacks]
    wide = [stack / (stack.norm(dim=(-2, -1), keepdim=True) + _EPSILON) for stack in wide]
    found: list[Tensor] = list(wide)
    for height in {stack.shape[-2] for stack in wide}:
        places = [place for place, stack in enumerate(wide) if stack.shape[-2] == height]
        grams = torch.cat([wide[place] @ wide[place].mT for place in places])
        factors = torch.split(_polynomial(grams), [len(wide[place]) for place in places])
        for place, factor in zip(places, factors, strict=True):
            found[place] = factor @ wide[place]
    return [one.mT if stack.shape[-2] > stack.shape[-1] else one for one, stack in zip(found, stacks, strict=True)]


def _polynomial(grams: Tensor) -> Tensor:
    """What all rounds together multiply a matrix X by, from X X^T.

    Shape: (B, m, m) -> (B, m, m).
    """
    one = product = torch.eye(grams.shape[-1], dtype=grams.dtype, device=grams.device)
    for number, (a, b, c) in enumerate(_ROUNDS):
        factor = torch.baddbmm(grams, grams, grams, beta=b, alpha=c) + a * one
        product = factor @ product if number else factor
        if number + 1 < len(_ROUNDS):
            grams = factor @ grams @ factor
    return product


class Muon(torch.optim.Optimizer):
    """Momentum with Nesterov's look-ahead, made orthogonal (Jordan et al. 2024), with decoupled weight decay.

    An update has about the root mean square of one of AdamW (Liu et al. 2025, arXiv:2502.16982, eq. 4), 0.2 times
    the learning rate, so that both optimisers of a network share learning rate and weight decay.

    Args:
        stacks: matrices of one shape each, (B, m, n).
        lr: learning rate; may be a tensor.
        weight_decay: of what is trained.
        momentum: share of the old mean gradient that is kept.
    """

    def __init__(
        self, stacks: Iterable[nn.Parameter], *, lr: float | Tensor, weight_decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(stacks, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        """Take a step along the gradients that there are."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            learning = [stack for stack in group["params"] if stack.grad is not None]
            ahead = [stack.grad.lerp(self._mean(stack, momentum), momentum) for stack in learning]
            for stack, update in zip(learning, orthogonal(ahead), strict=True):
                stack.mul_(1 - rate * group["weight_decay"])
                stack.sub_(update * (rate * _RMS_OF_ADAM * max(stack.shape[1:]) ** 0.5))

    def _mean(self, stack: nn.Parameter, momentum: float) -> Tensor:
        """Its mean gradient, that of now among them."""
        state = self.state[stack]
        if not state:
            state["mean_gradient"] = torch.zeros_like(stack)
        mean: Tensor = state["mean_gradient"]
        assert stack.grad is not None
        return mean.lerp_(stack.grad, 1 - momentum)
