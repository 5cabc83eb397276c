"""A study whose attentions began otherwise is not continued; one without such attentions is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_attn.config.settings import StudyRequest
from nas_attn.errors import StudyError
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.begin import begin_or_go_on
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import Resolved, resolve

SPACE = """
version: 1
name: own
network: {{family: unet, depth: 2}}
choices:
  encoder: [none, {choice}]
  bottleneck: [none]
  skip: [none]
  decoder: [none, eca]
"""


@pytest.fixture(autouse=True)
def few_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)


def _resolved(choice: str) -> Resolved:
    Path("own.yaml").write_text(SPACE.format(choice=choice), encoding="utf-8")
    return resolve(StudyRequest(study="s", space="own.yaml", device="cpu", workers=1, precision="float32"))


def _begun_before(choice: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Resolved, StudyFolder]:
    """A study as versions began it that knew of no version of a start."""
    resolved, folder = _resolved(choice), StudyFolder.of("s")
    folder.make()
    now = StudySettings.identity

    def then(settings: StudySettings) -> dict[str, Any]:
        return {name: value for name, value in now(settings).items() if not name.startswith("neutral start of ")}

    with monkeypatch.context() as patch:
        patch.setattr(StudySettings, "identity", then)
        begin_or_go_on(resolved, folder)
    return resolved, folder


def test_a_study_whose_attention_is_now_trained_otherwise_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved, folder = _begun_before("se", monkeypatch)
    with pytest.raises(StudyError) as caught:
        begin_or_go_on(resolved, folder)
    first, last = caught.value.problems
    assert first == (
        "study 's': neutral start of se was 1 and is now 2; this version of nas-attn trains it differently, "
        "so start another study"
    )
    assert "--as-new" in last


@pytest.mark.parametrize("choice", ["eca", "{kind: se, start: paper}", "{kind: se, start: identity}"])
def test_a_study_without_such_attention_goes_on(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved, folder = _begun_before(choice, monkeypatch)
    assert begin_or_go_on(resolved, folder).name == "s"


def test_a_study_of_this_version_goes_on() -> None:
    resolved, folder = _resolved("se"), StudyFolder.of("s")
    folder.make()
    begin_or_go_on(resolved, folder)
    assert begin_or_go_on(resolved, folder).identity["neutral start of se"] == 2
