"""All that is known of a study as one JSON file, for when its database is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import getpid
from pathlib import Path
from typing import Any

from nas_attn.errors import NasAttnError, StudyError
from nas_attn.record import TrialRecord
from nas_attn.strategy.settings import Plan
from nas_attn.whole_file import whole_file

_FORMAT = 1


@dataclass(frozen=True)
class Rescued:
    """A study without its database.

    Args:
        study: its name.
        identity: what must not change while it goes on, as plain values.
        context: what an export needs besides, as plain values.
        plan: how far it is to go; None where nobody has said.
        records: its trials by number.
    """

    study: str
    identity: Mapping[str, Any]
    context: Mapping[str, Any]
    plan: Plan | None
    records: tuple[TrialRecord, ...]


def write_rescued(rescued: Rescued, folder: Path) -> Path:
    """Write a study into a folder, which is made where it is gone; other processes write theirs beside it.

    Raises:
        OSError: it cannot be written.
    """
    values = {
        "format": _FORMAT,
        "study": rescued.study,
        "identity": rescued.identity,
        "context": rescued.context,
        "plan": None if rescued.plan is None else asdict(rescued.plan),
        "records": [record.to_dict() for record in rescued.records],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rescued-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{getpid()}.json"
    with whole_file(path) as part:
        part.write_text(json.dumps(values), encoding="utf-8")
    return path


def read_rescued(path: Path) -> Rescued:
    """The inverse of ``write_rescued``.

    Raises:
        StudyError: there is no such file, or it is another thing.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise ValueError(values["format"])
        records = tuple(map(TrialRecord.from_dict, values["records"]))
        rescued = Rescued(
            str(values["study"]),
            dict(values["identity"]),
            dict(values["context"]),
            None if values["plan"] is None else Plan(**values["plan"]),
            records,
        )
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, NasAttnError):
        raise StudyError(
            f"{path}: no study that a search of this version has rescued; give the file rescued-TIME-NUMBER.json "
            "in the study's folder"
        ) from None
    if [record.number for record in records] != list(range(len(records))):
        raise StudyError(f"{path}: trials are missing in it")
    return rescued
