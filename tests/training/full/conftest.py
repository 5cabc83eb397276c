import pytest

from nas_attn.architecture import Architecture
from nas_attn.data import Dataset, smears
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location


@pytest.fixture(autouse=True)
def always_one_thread(one_thread: None) -> None:
    """Every test of this folder compares or trains."""


@pytest.fixture(scope="session")
def tiny_data() -> Dataset:
    return smears(image_size=32, n_train=10, n_val=4, n_test=4)


@pytest.fixture(scope="session")
def tiny_architecture(tiny_data: Dataset) -> Architecture:
    network = UNetConfig(in_channels=3, classes=len(tiny_data.classes), depth=2, base_channels=4)
    placement = network.plain.replace(Location.parse("skip.0"), AttentionSpec("gate"))
    placement = placement.replace(Location.parse("bottleneck"), AttentionSpec("se"))
    return Architecture(network, placement, tiny_data.classes, tiny_data.mean, tiny_data.std, image_size=32)
