"""What a module refuses for its kind, whatever its own constructor does."""

from __future__ import annotations

import pytest
from torch import nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention._registry import checking
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="mine", title="mine", paper="unpublished", options=(Option("amount", 1.0, "of it", minimum=0),)
)


class Mine(nn.Module):
    """Checks nothing itself."""

    def __init__(self, channels: int, classes: int | None = None, amount: float = 1.0) -> None:
        super().__init__()
        self.given = channels, classes, amount


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mine as if it were registered."""
    monkeypatch.setattr(Mine, "__init__", checking(KIND, Mine.__init__))


def test_what_the_kind_allows_is_constructed() -> None:
    assert Mine(4, amount=0.5).given == (4, None, 0.5)


def test_all_that_it_does_not_allow_is_refused_at_once_by_place_and_by_name() -> None:
    with pytest.raises(AttentionError) as refused:
        Mine(0, 2, amount=-1)
    assert len(refused.value.problems) == 2
    assert "channels is 0" in refused.value.problems[0]
    assert "amount" in refused.value.problems[1]
    with pytest.raises(AttentionError, match="classes is True"):
        Mine(4, True)
