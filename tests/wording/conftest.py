"""What the tests of the analysis share."""

from __future__ import annotations

from tests.analysis.conftest import numbered_fixture, place_fixture, record_fixture, table_fixture

__all__ = ["numbered_fixture", "place_fixture", "record_fixture", "table_fixture"]
