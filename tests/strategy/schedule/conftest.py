"""What the tests of studies share."""

from __future__ import annotations

from tests.study.conftest import costs, evaluator, quiet_optuna, settings, space, studies

__all__ = ["costs", "evaluator", "quiet_optuna", "settings", "space", "studies"]
