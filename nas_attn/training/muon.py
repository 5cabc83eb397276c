"""Muon: the update of a kernel is its momentum made orthogonal, so that all of its directions learn alike."""

from __future__ import annotations

from collections import defaultdict
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
    rows, columns = sides(kernel)
    return _LEAST_SIDE <= min(rows, columns) <= _WIDEST_SIDE and kernel.stride(0) == columns


def sides(kernel: nn.Parameter) -> tuple[int, int]:
    """Of the matrix that a kernel is: its outputs, and all that each of them takes."""
    return kernel.shape[0], kernel.numel() // kernel.shape[0]


def left_factors(grams: Tensor) -> Tensor:
    """What matrices X are multiplied by from the left, so that their singular values come near to 1.

    The first three rounds of Polar Express (Amsel et al. 2025, arXiv:2505.16932, algorithm 1), each of which
    multiplies X / |X| by a polynomial in X X^T; here the polynomials are multiplied before X is, so that no
    product is as long as a kernel has inputs. Singular values between a thousandth of the norm and the norm come
    out between 0.13 and 1.9; more rounds bring them nearer to 1, and networks no further. For a matrix of zeros
    it is finite.

    Args:
        grams: X X^T of each matrix.
    Shape: (B, m, m) -> (B, m, m).
    """
    norms = grams.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None].sqrt() + _EPSILON
    grams = grams / norms.square()
    one = product = torch.eye(grams.shape[-1], dtype=grams.dtype, device=grams.device)
    for number, (a, b, c) in enumerate(_ROUNDS):
        factor = torch.baddbmm(grams, grams, grams, beta=b, alpha=c) + a * one
        product = factor @ product if number else factor
        if number + 1 < len(_ROUNDS):
            grams = factor @ grams @ factor
    return product / norms


class Muon(torch.optim.Optimizer):
    """Momentum with Nesterov's look-ahead, made orthogonal (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), with decoupled weight decay.

    An update has about the root mean square of one of AdamW (Liu et al. 2025, arXiv:2502.16982, eq. 4), 0.2 times
    the learning rate, so that both optimisers of a network share learning rate and weight decay. Matrices of one
    height are made orthogonal together, so that a step takes few operations; besides the momentum it holds little
    more than one of the stacks.

    Args:
        stacks: matrices of one shape each, (B, m, n).
        lr: learning rate; may be a tensor.
        weight_decay: of what is trained.
        momentum: share of the old mean gradient that is kept.
    """

    def __init__(
        self, stacks: Iterable[nn.Parameter], *, lr: float | Tensor, weight_decay: float, momentum: float
    ) -> None:
        super().__init__(stacks, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        """Take a step along the gradients that there are."""
        for group in self.param_groups:
            by_height: dict[int, list[nn.Parameter]] = defaultdict(list)
            for stack in group["params"]:
                if stack.grad is not None:
                    self._mean(stack).lerp_(stack.grad, 1 - group["momentum"])
                    by_height[min(stack.shape[1:])].append(stack)
            for stacks in by_height.values():
                self._turn(stacks, group["lr"], group["weight_decay"], group["momentum"])

    def _turn(self, stacks: Sequence[nn.Parameter], rate: float | Tensor, decay: float, momentum: float) -> None:
        """A step of stacks of one height."""
        grams = torch.cat([_gram(self._ahead(stack, momentum)) for stack in stacks])
        factors = torch.split(left_factors(grams), [len(stack) for stack in stacks])
        for stack, factor in zip(stacks, factors, strict=True):
            scaled = factor * (rate * _RMS_OF_ADAM * max(stack.shape[1:]) ** 0.5)
            ahead = self._ahead(stack, momentum)
            pair = (ahead, scaled) if _is_tall(stack) else (scaled, ahead)
            stack.mul_(1 - rate * decay).baddbmm_(*pair, alpha=-1)

    def _mean(self, stack: nn.Parameter) -> Tensor:
        """Its mean gradient, zeros before the first step."""
        state = self.state[stack]
        if not state:
            state["mean_gradient"] = torch.zeros_like(stack)
        mean: Tensor = state["mean_gradient"]
        return mean

    def _ahead(self, stack: nn.Parameter, momentum: float) -> Tensor:
        """Where its mean gradient goes, were the gradient to stay what it is."""
        assert stack.grad is not None
        return stack.grad.lerp(self._mean(stack), momentum)


def _is_tall(stack: Tensor) -> bool:
    return stack.shape[-2] > stack.shape[-1]


def _gram(stack: Tensor) -> Tensor:
    """X X^T, or X^T X where that is smaller."""
    return stack.mT @ stack if _is_tall(stack) else stack @ stack.mT
