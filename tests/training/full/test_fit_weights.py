import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nas_attn.errors import ExportError
from nas_attn.training.full.weights import WeightsInfo, load_weights, read_info, write_weights

INFO = WeightsInfo(
    architecture="0123456789",
    placement="encoder.0=se",
    classes=("background", "nucleus"),
    mean=(1.5,),
    std=(0.1,),
    bits=8,
    longest_side=None,
    data="fingerprint",
    seed=3,
    epoch=7,
    val_iou=0.1 + 0.2,
    version="0.1.0",
)


def network(width=3):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 1))


@pytest.fixture
def written(tmp_path):
    module = network()
    path = tmp_path / "run" / "weights.safetensors"
    path.parent.mkdir()
    write_weights(path, module, INFO)
    return path, module


def test_weights_and_what_is_known_of_them_come_back_exactly(written):
    path, module = written
    other = network()
    assert load_weights(path, other, "0123456789") == INFO == read_info(path)
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_weights_in_another_memory_layout_come_back_exactly(tmp_path):
    module = network().to(memory_format=torch.channels_last)
    write_weights(tmp_path / "w.safetensors", module, INFO)
    other = network()
    load_weights(tmp_path / "w.safetensors", other, "0123456789")
    assert torch.equal(other[0].weight, module[0].weight)


def test_nothing_but_the_weights_is_left_in_the_folder(written):
    path, _ = written
    assert list(path.parent.iterdir()) == [path]


class Exploding:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("modern", [True, False], ids=["zip", "bare"])
def test_a_pickle_is_refused_in_one_line_without_being_opened(tmp_path, modern):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": Exploding()}, path, _use_new_zipfile_serialization=modern)
    with pytest.raises(ExportError, match=r"last\.ckpt: a pickle .* give the weights\.safetensors of the run$"):
        load_weights(path, network(), "0123456789")


def test_a_pickle_of_any_protocol_is_no_weights_file(tmp_path):
    path = tmp_path / "weights.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Exploding(), protocol))
        with pytest.raises(ExportError, match=r"a pickle|no safetensors file"):
            read_info(path)


def test_a_header_whose_length_begins_with_0x80_is_no_pickle(tmp_path):
    header = b'{"__metadata__":{"format":"other"}}'.ljust(0x80)
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ExportError, match="but without the entry 'nas-attn weights 1'"):
        read_info(path)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_file_is_refused(written, kept):
    path, module = written
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ExportError, match="damaged or no safetensors file"):
        load_weights(path, module, "0123456789")


def test_safetensors_of_somebody_else_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "theirs.safetensors")
    with pytest.raises(ExportError, match="safetensors, but without the entry 'nas-attn weights 1'"):
        read_info(tmp_path / "theirs.safetensors")


@pytest.mark.parametrize(
    "description",
    ["{", "{}", '{"mean": 3}', "[]", '{"classes": 1, "mean": [], "std": []}'],
    ids=["no json", "empty", "no list", "no mapping", "wrong types"],
)
def test_a_damaged_description_is_refused(tmp_path, description):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"nas-attn weights 1": description})
    with pytest.raises(ExportError, match="its description is damaged"):
        read_info(path)


def test_weights_of_another_architecture_are_refused_with_both_named(written):
    path, module = written
    with pytest.raises(ExportError, match=r"belong to the architecture 0123456789 \(encoder\.0=se\), not to abc"):
        load_weights(path, module, "abc")


def test_all_tensors_that_do_not_fit_are_named_together(written):
    path, _ = written
    other = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Identity(), nn.Conv2d(4, 2, 1))
    with pytest.raises(ExportError) as error:
        load_weights(path, other, "0123456789")
    text = str(error.value)
    assert "2 tensors of the architecture are missing, first '3.bias'" in text
    assert "2 tensors do not belong to the architecture, first '2.bias'" in text
    assert "0.weight has the shape (3, 1, 3, 3), not (4, 1, 3, 3)" in text


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_path_that_is_no_file_is_refused(tmp_path, what):
    path = tmp_path if what == "folder" else tmp_path / "none.safetensors"
    with pytest.raises(ExportError, match="cannot be read"):
        read_info(path)
