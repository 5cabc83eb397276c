"""Muon, an optimiser that orthogonalises the momentum of a kernel, so that all of its directions learn alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

_LEAST_SIDE = 4
"""Fewer rows or columns leave no directions that could learn differently."""
_WIDEST_SIDE = 64
"""If both sides are wider, orthogonalising takes as long as the rest of a step on a CPU, and gains nothing."""
_ROUNDS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
)
"""Coefficients a, b and c of aX + b(XX^T)X + c(XX^T)^2 X in each round."""
_RMS_OF_ADAM = 0.2
_EPSILON = 1e-7


def is_matrix(kernel: nn.Parameter) -> bool:
    """Whether Muon should train a kernel.

    It must belong to a convolution larger than 1x1, (outputs, inputs, height, width), and store its outputs one
    after another in memory. The narrower side of its matrix must be from 4 to 64 wide. AdamW trains 1x1 kernels,
    such as the layers of a gate, as well as Muon does.
    """
    if kernel.ndim != 4 or kernel.shape[2:].numel() <= 1 or kernel.numel() == 0:
        return False
    rows, columns = sides(kernel)
    return _LEAST_SIDE <= min(rows, columns) <= _WIDEST_SIDE and kernel.stride(0) == columns


def sides(kernel: nn.Parameter) -> tuple[int, int]:
    """Rows and columns of a kernel's matrix: its outputs, and the number of weights of each output."""
    return kernel.shape[0], kernel.numel() // kernel.shape[0]


def left_factors(grams: Tensor) -> Tensor:
    """Left factors of matrices X, such that the singular values of the products come near to 1.

    These are the first three rounds of Polar Express (Amsel et al. 2025, arXiv:2505.16932, algorithm 1). Each
    round multiplies X / |X| by a polynomial in X X^T. Here the polynomials are multiplied with each other first,
    so that no product is as long as a kernel has inputs. Singular values from a thousandth of the norm up to the
    norm end between 0.13 and 1.9. More rounds bring them nearer to 1 but do not improve networks. The factor of a
    zero matrix is finite.

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
    """Orthogonalised Nesterov momentum (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon).

    Weight decay is decoupled. The root mean square of an update is about that of AdamW (Liu et al. 2025,
    arXiv:2502.16982, eq. 4), 0.2 times the learning rate. So both optimisers of a network can share learning rate
    and weight decay. Matrices of one height are orthogonalised together, so that a step takes few operations.
    Besides the momentum it needs little more memory than one of the stacks.

    Args:
        stacks: matrices of one shape each, (B, m, n).
        lr: learning rate; may be a tensor.
        weight_decay: of all stacks.
        momentum: share of the old mean gradient that is kept.
    """

    def __init__(
        self, stacks: Iterable[nn.Parameter], *, lr: float | Tensor, weight_decay: float, momentum: float
    ) -> None:
        super().__init__(stacks, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        """Take a step along the present gradients."""
        for group in self.param_groups:
            by_height: dict[int, list[nn.Parameter]] = defaultdict(list)
            for stack in group["params"]:
                if stack.grad is not None:
                    self._mean(stack).lerp_(stack.grad, 1 - group["momentum"])
                    by_height[min(stack.shape[1:])].append(stack)
            for stacks in by_height.values():
                self._turn(stacks, group["lr"], group["weight_decay"], group["momentum"])

    def _turn(self, stacks: Sequence[nn.Parameter], rate: float | Tensor, decay: float, momentum: float) -> None:
        grams = torch.cat([_gram(self._ahead(stack, momentum)) for stack in stacks])
        factors = torch.split(left_factors(grams), [len(stack) for stack in stacks])
        for stack, factor in zip(stacks, factors, strict=True):
            scaled = factor * (rate * _RMS_OF_ADAM * max(stack.shape[1:]) ** 0.5)
            ahead = self._ahead(stack, momentum)
            pair = (ahead, scaled) if _is_tall(stack) else (scaled, ahead)
            stack.mul_(1 - rate * decay).baddbmm_(*pair, alpha=-1)

    def _mean(self, stack: nn.Parameter) -> Tensor:
        """The mean gradient of a stack, zeros before the first step."""
        state = self.state[stack]
        if not state:
            state["mean_gradient"] = torch.zeros_like(stack)
        mean: Tensor = state["mean_gradient"]
        return mean

    def _ahead(self, stack: nn.Parameter, momentum: float) -> Tensor:
        """The mean gradient of a stack after one more step with the same gradient (Nesterov's look-ahead)."""
        assert stack.grad is not None
        return stack.grad.lerp(self._mean(stack), momentum)


def _is_tall(stack: Tensor) -> bool:
    return stack.shape[-2] > stack.shape[-1]


def _gram(stack: Tensor) -> Tensor:
    return stack.mT @ stack if _is_tall(stack) else stack @ stack.mT
