"""Small studies that answer at once."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from nas_attn.budget import Budget
from nas_attn.models.catalogue import catalogue
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.ledger import Ledger
from nas_attn.training import Precision, Recipe
from nas_attn.training.evaluation import CostTable, DataSource, LookupEvaluator
from tests.searching import time_briefly


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(autouse=True)
def brief_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    time_briefly(monkeypatch)


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


@pytest.fixture(scope="session")
def costs(space: SearchSpace) -> CostTable:
    return CostTable(space.network, space.height, space.width)


@pytest.fixture(scope="session")
def evaluator(space: SearchSpace) -> LookupEvaluator:
    return LookupEvaluator(space)


@pytest.fixture(scope="session")
def settings(space: SearchSpace) -> StudySettings:
    return StudySettings(
        study="small",
        space=space,
        source=DataSource(),
        data_name="lookup",
        classes=("background", "object"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        fingerprint="none",
        budget=Budget(400, 32, 8),
        strategy="random",
        cost="macs",
        seed=0,
        finalists=0.25,
        precision=Precision(),
        recipe=Recipe(),
        devices=("cpu",),
        workers=1,
        trials=40,
    )


class Studies:
    """One study in memory, opened anew whenever a ledger is asked for."""

    def __init__(self, settings: StudySettings, costs: CostTable) -> None:
        self.settings = settings
        self.costs = costs
        self.forget()

    def forget(self) -> None:
        self._storage = optuna.storages.InMemoryStorage()

    def ledger(self) -> Ledger:
        study = optuna.create_study(
            storage=self._storage,
            study_name=self.settings.study,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
        return Ledger(study, "memory")

    def agenda(self) -> Agenda:
        return Agenda(self.settings, self.costs)

    def change(self, **values: object) -> None:
        self.settings = replace(self.settings, **values)  # type: ignore[arg-type]


@pytest.fixture
def studies(settings: StudySettings, costs: CostTable) -> Studies:
    return Studies(settings, costs)
