"""Attributes of a study and its trials, as a reader of the dashboard wants to see them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nas_attn.study.database.ledger import CONTEXT, MEASURED, OF_STUDIES, PLAN, WRITTEN

Attribute = dict[str, Any]


def attributes_of_trial(attributes: Iterable[Attribute]) -> list[Attribute]:
    """Without the records, thousands of letters each, and with a line for each thing that was measured.

    The dashboard breaks no line: its page is as wide as the longest.

    Args:
        attributes: with ``key`` and ``value``, a text.
    """
    shown = []
    for attribute in attributes:
        if attribute["key"] == MEASURED:
            shown += list(_lines(attribute))
        elif attribute["key"] not in WRITTEN:
            shown.append(attribute)
    return shown


def columns_of_trials(columns: Iterable[Attribute], trials: Sequence[Attribute]) -> list[Attribute]:
    """What the trials have, where records and measurements are shown so.

    Args:
        columns: with ``key`` and ``sortable``.
        trials: with ``user_attrs`` as they are shown.
    """
    kept = [column for column in columns if column["key"] not in (*WRITTEN, MEASURED)]
    known = {column["key"] for column in kept}
    shown = (attribute for trial in trials for attribute in trial["user_attrs"])
    new = dict.fromkeys(attribute["key"] for attribute in shown if attribute["key"] not in known)
    return [*kept, *({"key": key, "sortable": False} for key in new)]


def attributes_of_study(attributes: Iterable[Attribute]) -> list[Attribute]:
    """The settings of the search, a line each, in place of the records that hold them."""
    given = list(attributes)
    kept = [attribute for attribute in given if attribute["key"] not in OF_STUDIES]
    records = {attribute["key"]: json.loads(attribute["value"]) for attribute in given if attribute not in kept}
    request, plan = records.get(CONTEXT, {}).get("request") or {}, records.get(PLAN) or {}
    now = {name: plan[name] for name in ("trials", "parallel") if name in plan}  # a study may grow
    return [*({"key": name, "value": str(value)} for name, value in {**request, **now}.items()), *kept]


def _lines(attribute: Attribute) -> Iterator[Attribute]:
    try:
        measured = json.loads(attribute["value"])
    except ValueError:  # the dashboard cuts what is very long
        yield attribute
        return
    for name, value in measured.items():
        if value is not None:
            yield {"key": name, "value": _short(value)}


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join("none" if one is None else _short(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
