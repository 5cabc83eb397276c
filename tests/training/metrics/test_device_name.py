"""The device in words."""

from __future__ import annotations

import pytest
import torch

from nas_attn.training.metrics import device_name


@pytest.mark.parametrize(("threads", "words"), [(1, "1 thread"), (2, "2 threads")])
def test_a_cpu_is_named_with_its_threads(threads: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    kind, _, rest = device_name(torch.device("cpu")).partition(": ")
    model, _, end = rest.rpartition(", ")
    assert kind == "cpu"
    assert model
    assert end == words


def test_another_device_is_named_by_its_type() -> None:
    assert device_name(torch.device("meta")) == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_named_by_its_model() -> None:
    assert device_name(torch.device("cuda")) == f"cuda: {torch.cuda.get_device_name()}"
