"""Muon: orthogonal updates, against singular value decompositions and against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_attn.training import muon
from nas_attn.training.muon import Muon, is_matrix, left_factors


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    found = left_factors(wide @ wide.mT) @ wide
    return found if wide is matrices else found.mT


@pytest.mark.parametrize("shape", [(2, 4, 4), (3, 8, 72), (1, 64, 16)])
def test_singular_values_become_those_of_the_polynomials_and_singular_vectors_stay(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrices)

    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    expected = values / matrices.norm(dim=(-2, -1))[:, None]
    for a, b, c in muon._ROUNDS:
        expected = a * expected + b * expected**3 + c * expected**5
    assert torch.allclose(left.mT @ found @ right.mT, torch.diag_embed(expected), atol=1e-4)


def test_singular_values_that_differ_by_a_thousand_come_out_near_1() -> None:
    found = orthogonal(torch.diag_embed(torch.logspace(-2.5, 0, 16))[None])

    values = found[0].diagonal()
    assert ((values > 0.13) & (values < 1.9)).all()


def test_matrices_of_a_stack_do_not_mix_and_their_size_does_not_matter() -> None:
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(1))

    for one, alone in zip(matrices, orthogonal(matrices), strict=True):
        assert torch.allclose(orthogonal(1e3 * one[None])[0], alone, atol=1e-5)


def test_stacks_do_not_mix() -> None:
    random = torch.Generator().manual_seed(5)
    shapes = [(2, 8, 20), (1, 20, 8), (1, 4, 9), (3, 8, 8)]
    stacks = [nn.Parameter(torch.randn(shape, generator=random)) for shape in shapes]
    alone = [nn.Parameter(stack.detach().clone()) for stack in stacks]
    for stack, other in zip(stacks, alone, strict=True):
        stack.grad = torch.randn(stack.shape, generator=random)
        other.grad = stack.grad.clone()
        Muon([other], lr=0.1, weight_decay=0.1, momentum=0.9).step()
    Muon(stacks, lr=0.1, weight_decay=0.1, momentum=0.9).step()

    for stack, other in zip(stacks, alone, strict=True):
        assert torch.allclose(stack, other, atol=1e-6)


def test_no_gradient_is_no_update() -> None:
    stack = nn.Parameter(torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(2)))
    before = stack.detach().clone()
    optimiser = Muon([stack], lr=0.1, weight_decay=0.0, momentum=0.9)
    optimiser.step()
    stack.grad = torch.zeros_like(stack)
    optimiser.step()

    assert torch.equal(stack, before)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has Muon since 2.9")
@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_steps_are_those_of_torchs_muon(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With its five equal rounds; it computes in bfloat16 everywhere."""
    monkeypatch.setattr(muon, "_ROUNDS", ((3.4445, -4.7750, 2.0315),) * 5)
    random = torch.Generator().manual_seed(3)
    mine = nn.Parameter(torch.randn(1, *shape, generator=random))
    theirs = nn.Parameter(mine.detach()[0].clone())
    ours = Muon([mine], lr=0.02, weight_decay=0.1, momentum=0.95)
    oracle = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    before = mine.detach().clone()
    for _ in range(4):
        theirs.grad = torch.randn(shape, generator=random)
        mine.grad = theirs.grad[None].clone()
        ours.step()
        oracle.step()

    moved = (mine - before).norm()
    assert (mine[0] - theirs).norm() < 0.02 * moved


def test_an_update_is_as_long_as_one_of_adamw() -> None:
    """Its root mean square is about 0.2 times the learning rate, whatever the shape."""
    for shape in [(1, 16, 16), (2, 8, 72), (1, 72, 8)]:
        stack = nn.Parameter(torch.zeros(shape))
        stack.grad = torch.randn(shape, generator=torch.Generator().manual_seed(4))
        Muon([stack], lr=0.1, weight_decay=0.0, momentum=0.9).step()

        assert stack.square().mean().sqrt().item() == pytest.approx(0.023, rel=0.2)


def test_the_learning_rate_may_be_a_tensor_and_weights_decay_by_it() -> None:
    stack, rate = nn.Parameter(torch.ones(1, 4, 4)), torch.tensor(0.5)
    stack.grad = torch.zeros_like(stack)
    Muon([stack], lr=rate, weight_decay=0.1, momentum=0.9).step()

    assert torch.allclose(stack, torch.full((1, 4, 4), 0.95))


@pytest.mark.parametrize(
    ("kernel", "is_one"),
    [
        pytest.param(torch.zeros(8, 3, 3, 3), True, id="kernel"),
        pytest.param(torch.zeros(8, 3, 3, 3).to(memory_format=torch.channels_last), True, id="channels last"),
        pytest.param(torch.zeros(64, 256, 2, 2), True, id="wide"),
        pytest.param(torch.zeros(65, 256, 2, 2), False, id="too wide"),
        pytest.param(torch.zeros(2, 8, 3, 3), False, id="two outputs"),
        pytest.param(torch.zeros(8, 1, 3, 1), False, id="three columns"),
        pytest.param(torch.zeros(8, 8, 1, 1), False, id="one position"),
        pytest.param(torch.zeros(8, 8), False, id="linear"),
        pytest.param(torch.zeros(16, 8, 3, 3).transpose(0, 1), False, id="turned"),
        pytest.param(torch.zeros(64), False, id="norm"),
        pytest.param(torch.zeros(0, 8, 3, 3), False, id="none"),
    ],
)
def test_what_is_a_matrix(kernel: torch.Tensor, is_one: bool) -> None:
    assert is_matrix(nn.Parameter(kernel)) is is_one
