"""Every form of position attention gives the same result; the fused ones without the P x P weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from nas_attn.models.attention import _attend, build_attention
from nas_attn.models.attention._attend import MAX_PLAIN_POSITIONS, attend, attend_fused, attend_plainly
from nas_attn.models.placement import AttentionSpec


class LargestTensor(TorchDispatchMode):
    """Remembers the most numbers that any tensor held while it was active."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def drawn(hidden, channels, positions, images=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(hidden + channels + positions)
    shapes = ((images, hidden, positions), (images, hidden, positions), (images, channels, positions))
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(
    ("hidden", "channels", "width"),
    [(1, 1, 8), (1, 9, 8), (2, 17, 8), (2, 17, 24), (8, 64, 8), (8, 64, 64), (8, 60, 16), (16, 16, 16)],
)
def test_fused_form_equals_the_plain_one_with_its_gradients(hidden, channels, width):
    leaves = drawn(hidden, channels, positions=50)
    cotangent = torch.randn_like(leaves[2])
    plain, fused = attend_plainly(*leaves), attend_fused(*leaves, width)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.autograd.grad(fused, leaves, cotangent),
        torch.autograd.grad(plain, leaves, cotangent),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("width", [8, 16])
def test_fused_form_equals_the_plain_one_where_keys_are_fewer_than_queries(width):
    queries, keys, values = drawn(hidden=3, channels=16, positions=50)
    leaves = [queries, keys[..., :13], values[..., :13]]
    plain, fused = attend_plainly(*leaves), attend_fused(*leaves, width)
    assert plain.shape == (2, 16, 50)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [20, 0], ids=["plain", "fused"])
def test_each_head_meets_its_own_keys_and_values_only(most, monkeypatch):
    monkeypatch.setattr(_attend, "most_plain_positions", lambda channels: 2 * most)
    queries, keys, values = drawn(hidden=6, channels=12, positions=20)
    together = attend(queries, keys[..., :7], values[..., :7], heads=3)
    alone = [
        attend_plainly(
            queries[:, 2 * i : 2 * i + 2], keys[:, 2 * i : 2 * i + 2, :7], values[:, 4 * i : 4 * i + 4, :7]
        )
        for i in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("heads", "queries", "keys", "held"),
    [(1, 20, 20, True), (1, 21, 20, False), (1, 100, 4, True), (4, 10, 10, True), (4, 11, 10, False)],
)
def test_weights_are_held_where_all_heads_together_have_few(heads, queries, keys, held, monkeypatch):
    monkeypatch.setattr(_attend, "most_plain_positions", lambda channels: 20)
    asked, known, said = drawn(hidden=4, channels=4, positions=max(queries, keys), images=1)
    plain = []
    monkeypatch.setattr(_attend, "attend_plainly", lambda *x: plain.append(attend_plainly(*x)) or plain[0])
    heard = attend(asked[..., :queries], known[..., :keys], said[..., :keys], heads=heads)
    assert heard.shape == (1, 4, queries)
    assert bool(plain) == held


@pytest.mark.parametrize(("hidden", "channels", "width"), [(1, 1, 8), (2, 17, 8), (8, 64, 64)])
@pytest.mark.parametrize("positions", [1, 50])
def test_fused_form_meets_the_demands_of_the_flash_kernel(hidden, channels, width, positions):
    leaves = drawn(hidden, channels, positions)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where the kernel cannot be used
        attend_fused(*leaves, width).sum().backward()


QUADRATIC = ("pam", "danet", "nonlocal(pool=1)", "nonlocal", "vit")


def largest_tensor(spec, channels, side, learning):
    module = build_attention(AttentionSpec.parse(spec), channels)
    x = torch.randn(1, channels, side, side, requires_grad=learning)
    with LargestTensor() as largest, torch.set_grad_enabled(learning):
        heard = module(x)
        if learning:
            heard.sum().backward()
    return largest.numbers


@pytest.mark.parametrize("learning", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("channels", [8, 64])
@pytest.mark.parametrize("spec", QUADRATIC)
def test_memory_grows_with_the_positions_from_256_of_them_on(spec, channels, learning):
    small, large = (largest_tensor(spec, channels, side, learning) for side in (17, 34))
    assert large <= 4.1 * small  # 16 times as much where it grows with their square


def test_few_positions_are_attended_to_plainly_on_a_cpu(monkeypatch):
    taken = []
    for name in ("attend_plainly", "attend_fused"):
        form = getattr(_attend, name)
        monkeypatch.setattr(_attend, name, lambda *x, form=form, name=name: taken.append(name) or form(*x))
    for channels, positions in ((8, 32), (8, 33), (32, 128), (32, 129), (64, 256), (64, 257), (256, 257)):
        attend(*drawn(hidden=1, channels=channels, positions=positions, images=1))
    assert taken == [*["attend_plainly", "attend_fused"] * 3, "attend_fused"]


def test_plain_form_can_be_too_large_to_pass_the_memory_test():
    with LargestTensor() as largest:
        attend_plainly(*drawn(hidden=1, channels=8, positions=300, images=1))
    assert largest.numbers > 50 * 300


@pytest.mark.parametrize(
    ("images", "hidden", "channels", "learning", "width"),
    [
        *((1, 8, 64, True, 16), (2, 8, 64, True, 32), (4, 8, 64, True, 64), (8, 8, 64, True, 64)),
        *((1, 8, 64, False, 64), (1, 2, 17, True, 8), (1, 2, 17, False, 24), (1, 60, 160, True, 64)),
    ],
)
def test_few_images_are_given_more_heads_to_train_with_on_a_cpu(images, hidden, channels, learning, width):
    queries, _, values = drawn(hidden, channels, positions=3, images=images)
    with torch.set_grad_enabled(learning):
        assert _attend._head_width(queries, values) == width


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_large_dot_products_keep_their_precision_under_autocast(dtype):
    queries = torch.tensor([[[300.0, 1.0]]], dtype=dtype)
    keys = torch.tensor([[[301.0, 300.0]]]).to(dtype)
    keys[..., 1] -= 2  # products of about 90000, beyond fp16, and 300 * 4 apart
    values = torch.tensor([[[1.0, 2.0]]], dtype=dtype)
    logits = queries.double().numpy()[0].T @ keys.double().numpy()[0]
    weights = np.exp(logits - logits.max(1, keepdims=True))
    expected = values.double().numpy()[0] @ (weights / weights.sum(1, keepdims=True)).T
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heard = attend_plainly(queries, keys, values)
    assert heard.dtype == dtype
    np.testing.assert_allclose(heard[0].double().numpy(), expected, rtol=0.01)


def test_logits_are_not_rounded_to_bfloat16_under_autocast():
    queries = torch.tensor([[[10.0]]], dtype=torch.bfloat16)
    keys = torch.tensor([[[10.0, 10.0625]]], dtype=torch.bfloat16)
    values = torch.tensor([[[0.0, 1.0]]], dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heard = attend_plainly(queries[..., :1].expand(-1, -1, 2), keys, values)
    assert heard[0, 0, 0].item() == pytest.approx(1 / (1 + np.exp(-0.625)), rel=0.01)  # 0.5 or 0.73 if rounded


def test_plain_form_stands_for_all_where_nothing_is_computed():
    shapes = (1, 2, MAX_PLAIN_POSITIONS + 1), (1, 2, MAX_PLAIN_POSITIONS + 1), (1, 16, MAX_PLAIN_POSITIONS + 1)
    with LargestTensor() as largest:
        heard = attend(*(torch.empty(shape, device="meta") for shape in shapes))
    assert heard.shape == shapes[2]
    assert largest.numbers == (MAX_PLAIN_POSITIONS + 1) ** 2
