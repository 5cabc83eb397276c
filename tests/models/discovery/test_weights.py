"""Weights of files: what they are called there, what fits, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.discovery import load_kept, look_at
from nas_attn.models.discovery.weights import fit_weights, keep_weights, read_tensors, weights_file


class Encoder(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4)


class Network(nn.Module):
    def __init__(self, channels: int = 3, classes: int = 2) -> None:
        super().__init__()
        self.encoder = Encoder(channels)
        self.head = nn.Conv2d(4, classes, 1)


def renamed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor.clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_taken_away(prefix: str) -> None:
    trained = Network().state_dict()
    fitted = fit_weights(Network(), renamed(trained, prefix), "f")
    assert fitted.tensors.keys() == trained.keys()
    assert all(torch.equal(fitted.tensors[name], trained[name]) for name in trained)
    assert (fitted.missing, fitted.unused) == ((), ())


def test_weights_of_an_encoder_alone_find_it() -> None:
    trained = Encoder().state_dict()
    fitted = fit_weights(Network(), {**trained, "classifier.weight": torch.ones(3)}, "f")
    assert fitted.tensors.keys() == {f"encoder.{name}" for name in trained}
    assert fitted.missing == ("head.weight", "head.bias")
    assert str(fitted) == (
        "6 of 8 tensors of the network fit; initialised: head.weight, head.bias; not used: classifier.weight"
    )


def test_a_head_for_other_classes_is_drawn_anew() -> None:
    fitted = fit_weights(Network(classes=5), Network(classes=2).state_dict(), "f")
    assert fitted.missing == ("head.weight", "head.bias")


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_the_first_convolution_is_adapted_to_other_channels(channels: int) -> None:
    trained = Network(3).state_dict()
    fitted = fit_weights(Network(channels), trained, "f")
    before, after = trained["encoder.stem.weight"], fitted.tensors["encoder.stem.weight"]
    # A grey image, given as so many equal channels, gives what it gave as three: the sums over channels are equal.
    torch.testing.assert_close(after.sum(1) if channels == 1 else after.mean(1), _expected(before, channels))
    assert fitted.adapted == "encoder.stem.weight"


def _expected(before: Tensor, channels: int) -> Tensor:
    if channels == 1:
        return before.sum(1)
    repeated = [before[:, index % 3] for index in range(channels)]
    return torch.stack(repeated).sum(0) * 3 / channels / channels


def test_adapted_as_timm_does_it() -> None:
    timm = pytest.importorskip("timm.models")
    trained = Network(3).state_dict()
    for channels in (1, 2, 4):
        fitted = fit_weights(Network(channels), trained, "f")
        theirs = timm.adapt_input_conv(channels, trained["encoder.stem.weight"].clone())
        torch.testing.assert_close(fitted.tensors["encoder.stem.weight"], theirs)


def test_weights_of_another_network_are_refused() -> None:
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).state_dict()
    with pytest.raises(NetworkError, match=r"^other.pt: these are the weights of another network: 0 of 8 tensors"):
        fit_weights(Network(), other, "other.pt")


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "network_weights"])
def test_checkpoints_are_read_however_they_nest_the_weights(tmp_path: Path, nested: str | None) -> None:
    weights = Network().state_dict()
    torch.save(weights if nested is None else {"epoch": 3, nested: weights}, tmp_path / "a.pt")
    assert read_tensors(tmp_path / "a.pt").keys() == weights.keys()
    save_file(renamed(weights, ""), tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors").keys() == weights.keys()


def test_a_file_that_could_run_code_is_not_loaded(tmp_path: Path) -> None:
    torch.save(Network(), tmp_path / "whole.pt")
    with pytest.raises(
        NetworkError, match=r"holds more than weights and is not loaded, because it could run code"
    ):
        read_tensors(tmp_path / "whole.pt")


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (None, "gone.pt", "there is no such file of weights"),
        (b"abc", "a.pt", "cannot be read as weights|holds more than weights"),
        (b"abc", "a.safetensors", "cannot be read as weights"),
        ({"epoch": 3}, "a.pt", "holds no weights by name"),
        ([1, 2], "a.pt", "holds no weights by name"),
    ],
)
def test_files_that_are_none_are_told_in_one_line(
    tmp_path: Path, content: object, name: str, problem: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(NetworkError, match=problem) as caught:
        read_tensors(tmp_path / name)
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


def test_kept_weights_are_found_again_by_what_they_are() -> None:
    trained = Network().state_dict()
    digest = keep_weights(trained)
    assert keep_weights(trained) == digest
    other = Network()
    load_kept(other, digest, "f")
    assert all(torch.equal(other.state_dict()[name], trained[name]) for name in trained)


def test_tensors_that_share_memory_are_kept(tmp_path: Path) -> None:
    network = nn.ModuleDict({"a": nn.Conv2d(1, 1, 1)})
    network["b"] = network["a"]
    digest = keep_weights(network.state_dict())
    load_kept(network, digest, "f")


def test_damaged_or_lost_weights_stop_a_run(tmp_path: Path) -> None:
    digest = keep_weights(Network().state_dict())
    weights_file(digest).write_bytes(b"cut short")
    with pytest.raises(NetworkError, match=r"\(f\) are missing or damaged; run the search again"):
        load_kept(Network(), digest, "f")
    weights_file(digest).unlink()
    with pytest.raises(NetworkError, match="are missing or damaged"):
        load_kept(Network(), digest, "f")


def test_a_search_can_begin_at_a_checkpoint(small_unet: type[nn.Module], tmp_path: Path) -> None:
    trained = small_unet(n_classes=2)
    torch.save({"state_dict": renamed(trained.state_dict(), "model.")}, tmp_path / "trained.ckpt")
    asked = AskedNetwork("module", "small_unet:SmallUNet", weights=str(tmp_path / "trained.ckpt"))
    looked = look_at(asked, 3, 4)
    assert looked.weights is not None
    assert looked.weights.missing == ("head.weight", "head.bias")
    network = small_unet(n_classes=4)
    load_kept(network, looked.network.weights, "f")
    assert torch.equal(network.enc0[0].weight, trained.enc0[0].weight)
