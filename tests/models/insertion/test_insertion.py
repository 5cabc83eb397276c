"""Attention in somebody else's network: what it changes, and what it leaves alone."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.insertion import HookPoint, Place, insert_modules, remove_modules


class Twice(nn.Module):
    """x -> 2x, and 2x + the mean of a gate where it is given one; it has a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        return self.scale * x + (0.0 if gate is None else gate.mean())


class Join(nn.Module):
    def forward(self, deep: Tensor, *, skip: Tensor | None = None, times: int = 1) -> Tensor:
        return deep + (0.0 if skip is None else times * skip)


class Theirs(nn.Module):
    """conv, an in-place rectifier, a submodule that is called by name, one that is called by position."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.join = Join()
        self.last = nn.Conv2d(4, 1, 1, bias=False)
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        joined = self.join(x, skip=x + 1, times=3)
        return self.last(torch.cat([x, joined], 1))


@pytest.fixture
def theirs() -> Theirs:
    return Theirs()


X = torch.tensor([[[[1.0, -2.0]]]])


def inserted(network: nn.Module, at: str, gate: str = "") -> nn.Module:
    insert_modules(network, {"skip.0": (Twice(), Place.parse(at, gate))})
    return network


def test_what_a_submodule_gives_back_is_refined_before_the_next_changes_it_in_place(theirs: Theirs) -> None:
    # conv gives (1, -2) in two channels, doubled (2, -4), rectified (2, 0); joined 2 + 3 * 3 and 0 + 3 * 1.
    assert inserted(theirs, "conv")(X).flatten().tolist() == [2 * 2 + 2 * (2 + 9), 2 * 3]


def test_an_argument_is_refined_whether_it_is_given_by_name_or_by_position(theirs: Theirs) -> None:
    by_name = inserted(copy.deepcopy(theirs), "join(skip)")(X)
    assert by_name.flatten().tolist() == [2 * 1 + 2 * (1 + 3 * 4), 2 * 3 * 2]  # skip is 2 and 1, doubled
    by_position = inserted(theirs, "join(0)")(X)
    assert by_position.flatten().tolist() == [2 * 1 + 2 * (2 + 3 * 2), 2 * 3 * 1]


def test_only_the_channels_that_are_named_are_refined(theirs: Theirs) -> None:
    plain = theirs(X).flatten().tolist()
    assert plain == [2 * 1 + 2 * (1 + 3 * 2), 2 * 3]
    assert inserted(theirs, "last(0)[2:4]")(X).flatten().tolist() == [2 * 1 + 2 * 2 * (1 + 3 * 2), 2 * 2 * 3]


def test_the_gate_is_another_feature_of_the_same_call(theirs: Theirs) -> None:
    # The gate is x = (1, 0) twice, of mean 0.5, which is added to the doubled skip (4, 2).
    gated = inserted(theirs, "join(skip)", "join(deep)")(X)
    assert gated.flatten().tolist() == [2 * 1 + 2 * (1 + 3 * 4.5), 2 * 3 * 2.5]


def test_no_name_and_no_weight_of_the_network_changes(theirs: Theirs) -> None:
    before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    inserted(theirs, "conv")
    after = theirs.state_dict()
    assert [name for name in after if name not in before] == ["nas_attention.skip_0.scale"]
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_networks_own_weights_still_load(theirs: Theirs) -> None:
    weights = Theirs().state_dict()
    result = inserted(theirs, "conv").load_state_dict(weights, strict=False)
    assert result.unexpected_keys == []
    assert result.missing_keys == ["nas_attention.skip_0.scale"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_calls_its_own_attention(theirs: Theirs, copied) -> None:  # type: ignore[no-untyped-def]
    original = inserted(theirs, "conv")
    other = copied(original)
    with torch.no_grad():
        original.nas_attention["skip_0"].scale.fill_(0.0)
    assert original(X).flatten().tolist() == [2 * 3, 2 * 3]
    assert other(X).flatten().tolist() == [2 * 2 + 2 * (2 + 9), 2 * 3]


def test_gradients_reach_the_attention_and_what_is_before_it(theirs: Theirs) -> None:
    inserted(theirs, "join(skip)")(X).sum().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


def test_removed_it_is_the_network_that_it_was(theirs: Theirs) -> None:
    keys, plain = list(theirs.state_dict()), theirs(X)
    copied = copy.deepcopy(inserted(theirs, "conv"))
    for network in (theirs, copied):
        assert remove_modules(network)
        assert list(network.state_dict()) == keys
        assert torch.equal(network(X), plain)
        assert not network.conv._forward_hooks
        assert not remove_modules(network)


@pytest.mark.parametrize(
    ("at", "gate", "problem"),
    [
        ("cnv", "", "skip.0: the network has no submodule 'cnv'; did you mean 'conv'?"),
        ("zzz", "", "skip.0: the network has no submodule 'zzz'; at the top are conv, relu, join, last"),
        ("join(skp)", "", "skip.0: join takes no argument 'skp'; did you mean 'skip'?"),
        ("join[0:2]", "", "skip.0: join[0:2]: channels can be named of an argument only, such as join(0)"),
        (
            "join(deep)",
            "conv",
            "skip.0: the gate conv must be an argument of join, as the feature is",
        ),
    ],
)
def test_a_place_that_is_not_there_is_told(theirs: Theirs, at: str, gate: str, problem: str) -> None:
    with pytest.raises(NetworkError) as caught:
        inserted(theirs, at, gate)
    assert caught.value.problems == (problem,)
    assert list(theirs.state_dict()) == ["conv.weight", "last.weight"]


def test_attention_is_inserted_once(theirs: Theirs) -> None:
    inserted(theirs, "conv")
    with pytest.raises(NetworkError, match=r"already has attention of nas-attn; nas_attn.remove"):
        inserted(theirs, "relu")


@pytest.mark.parametrize("text", ["encoder.layer2", "decoder.blocks.1(skip_connection)", "dec1(0)[0:8]"])
def test_a_point_reads_back(text: str) -> None:
    assert str(HookPoint.parse(text)) == text


@pytest.mark.parametrize("text", ["", "a b", "dec1(0)[8:8]", "dec1(0)[0:8", "dec1()", "dec1[3]"])
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match=r"is not a place|selects no channels"):
        HookPoint.parse(text)
