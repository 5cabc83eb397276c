"""From values that somebody gave to a request, or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_attn.config.settings import StudyRequest
from nas_attn.document import field_problems
from nas_attn.errors import UsageError


def request_from(values: Mapping[str, object]) -> StudyRequest:
    """A request from plain values.

    Raises:
        UsageError: values do not fit; all are named together.
    """
    if found := request_problems(values):
        raise UsageError([f"{name}: {problem}" for name, problem in found])
    return StudyRequest(**values)  # type: ignore[arg-type]  # request_problems has judged every value


def kept_request(values: Mapping[str, Any]) -> StudyRequest:
    """The request with which a study was begun, from the values that it keeps.

    A study from before proposals took several seeds in turn took one, and one from before short runs could start
    elsewhere began them from scratch.
    """
    return StudyRequest(**{"screening_seeds": 1, "ladder_start": "scratch", **values})


def request_problems(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """What is wrong with each value, as (field, problem) pairs; None is always allowed."""
    return field_problems(StudyRequest, {name: value for name, value in values.items() if value is not None})
