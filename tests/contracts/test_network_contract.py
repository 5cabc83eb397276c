"""A search in a network of any family: the same seed gives the same study, and one that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from nas_attn.cli.main import main
from nas_attn.models.discovery import look_at
from nas_attn.study.setup.find import open_study
from tests.models.discovery.test_sites import EVERY_NETWORK, installed, slow_unless
from tests.searching import search_here

QUICK = ("small_unet:SmallUNet", "smp:Unet/resnet18")


@pytest.mark.parametrize(
    "text", [pytest.param(one, marks=slow_unless(quick=one in QUICK)) for one in EVERY_NETWORK]
)
def test_a_stopped_search_in_a_network_of_any_family_goes_on(
    text: str, small_unet: type[nn.Module], one_thread: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch, n_train=2, n_val=2, name="CPU_THEIRS_SYNTHETIC")
    side = max(16, look_at(installed(text), 3, 3).network.least_size)

    def search(study: str, trials: int) -> None:
        size = ("--image-size", str(side), "--batch-size", "2", "--steps", "2", "--precision", "float32")
        common = ("--study", study, "--trials", str(trials), "--workers", "1", "--device", "cpu")
        assert main(["search", "--network", text, *size, *common]) == 0

    search("whole", 4)
    search("parted", 2)
    search("parted", 4)
    whole, parted = (
        [(record.placement, record.outcome.score.loss) for record in open_study(study).records() if record.outcome]
        for study in ("whole", "parted")
    )
    assert len(whole) == 4
    assert parted == whole
