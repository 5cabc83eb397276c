"""Differences between the settings of a search and those of its study, and the options that resolve them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nas_attn import __version__
from nas_attn.budget import SCRATCH
from nas_attn.config.settings import AUTO, NONE, StudyRequest
from nas_attn.data.summary import changes
from nas_attn.errors import StudyError
from nas_attn.metric import METRICS
from nas_attn.models.kind import NEUTRAL_START_OF
from nas_attn.strategy.settings import Difference, differences
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.checks import CEILINGS
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.resolve import Resolved
from nas_attn.study.setup.study_file import study_values

_SAID = {
    "space.network.base_channels": "base_channels",
    "space.network.frames": "frames",
    "budget.steps": "steps",
    "budget.image_size": "image_size",
    "budget.batch_size": "batch_size",
    "screening seeds": "screening_seeds",
    "out of memory": "out_of_memory",
    "folds": "folds",
    "recipe.loss": "loss",
    "recipe.foreground": "foreground",
    **{name: name for name in ("strategy", "cost", "metric", "seed", "finalists", "precision", "device")},
}
"""Settings that have the same value in a field of the request."""
_READ = {
    "data": ("data",),
    "data fingerprint": ("data", "longest_side", "image_size"),
    "space.network.in_channels": ("data",),
    "space.network.classes": ("data",),
    "space.network.image_size": ("data", "longest_side", "image_size"),
}
"""Settings that are read from the data, with the fields on which they depend."""


def check_settings(ledger: Ledger, resolved: Resolved) -> None:
    """Check that the search has the settings of its study.

    Raises:
        StudyError: settings differ; each difference is reported in a line.
    """
    name, found = ledger.name, changed_settings(ledger, resolved)
    if not found:
        return
    version = ledger.context.get("version", "an older version")
    made = f" (it was begun by nas-attn {version}, and this is {__version__})" if version != __version__ else ""
    raise StudyError(
        [
            *(_told(difference, ledger, resolved) for difference in found),
            f"study '{name}' continues with the settings that it was started with{made}: repeat them, or start "
            "another with --study NAME or --as-new",
        ]
    )


def changed_settings(ledger: Ledger, resolved: Resolved) -> Sequence[Difference]:
    """The settings of a search that differ from those of its study."""
    return differences(ledger.identity, json.loads(json.dumps(resolved.settings.identity())))


def _told(difference: Difference, ledger: Ledger, resolved: Resolved) -> str:
    to_type = mend(difference, ledger, resolved)
    which = _changed_files(resolved) if difference.name == "data fingerprint" else ""
    return f"study '{ledger.name}': {difference}{which}" + (f"; {to_type}" if to_type else "")


def _changed_files(resolved: Resolved) -> str:
    """The images that have changed since the study started; empty if that was not stored here."""
    try:
        before = json.loads(StudyFolder.of(resolved.settings.study).data_files.read_text("utf-8"))
        return f" ({changes(before, dict(resolved.dataset.digests))})"
    except (OSError, ValueError, AttributeError, TypeError):
        return ""


def mend(difference: Difference, begun: Ledger, asked: Resolved) -> str:
    """What to type so that a search agrees with its study; empty if no option helps.

    Args:
        difference: of the two.
        begun: the study.
        asked: the search.
    """
    name, before = difference.name, difference.before
    if name in ("ladder", "ladder start", "budget.steps"):
        return _steps(difference, begun.identity)
    if name == "find budget":
        return "give --budget auto" if before else f"{_steps(difference, begun.identity)} and leave out --budget"
    if name in _READ:
        return _data(_READ[name], begun, asked)
    if name == "metric" and before not in METRICS:
        return ""  # begun before studies said by what they compare
    if name == "max latency":
        return "leave out --max-cost" if before is None else _give({"cost": "latency", "max_cost": before})
    if name == "folds" and before is None:
        return "leave out --folds"
    if name == "recipe.class_weights":
        return _give({"class_weights": ",".join(map(str, before or ())) or NONE})  # type: ignore[call-overload]  # a list
    if name == "recipe.optimiser":
        return "this version of nas-attn trains differently, so start another study"
    if name.startswith(NEUTRAL_START_OF):
        return "this version of nas-attn trains it differently, so start another study"
    if name in _SAID:
        return _give({_SAID[name]: before})
    return _ceiling(difference, asked.request) or _space(name, begun.name, asked.request)


def _steps(difference: Difference, begun: Mapping[str, Any]) -> str:
    """Options for the steps: the study's ladder with its last rung, or the steps alone if it has no ladder."""
    ladder, steps = begun.get("ladder"), begun["budget"]["steps"]
    start = begun.get("ladder start", SCRATCH)
    if ladder is None:
        out = " and leave out --ladder" if difference.name.startswith("ladder") else ""
        return _give({"steps": steps}) + out
    if difference.name == "ladder start":
        return _give({"ladder_start": start})
    written = ladder if ladder == AUTO else ",".join(map(str, [*ladder, steps]))
    usual = start == StudyRequest.ladder_start
    return _give({"ladder": written, "steps": steps, **({} if usual else {"ladder_start": start})})


def _data(fields: Iterable[str], begun: Ledger, asked: Resolved) -> str:
    """The options for those of the fields that differ; if none does, the files themselves have changed."""
    kept = begun.context.get("request") or {}
    now = study_values(asked, StudyFolder.of(begun.name))
    return _give({field: kept[field] for field in fields if field in kept and kept[field] != now.get(field)})


def _ceiling(difference: Difference, asked: StudyRequest) -> str:
    limit = difference.name.removeprefix("space.limits.")
    if limit not in CEILINGS.values():
        return ""
    by_cost = asked.max_cost is not None and CEILINGS.get(asked.cost) == limit
    if difference.before is not None:
        return _give({"max_cost" if by_cost else limit: difference.before})
    if by_cost or getattr(asked, limit) is not None:
        return f"leave out {_flag('max_cost' if by_cost else limit)}"
    return ""


def _space(name: str, study: str, asked: StudyRequest) -> str:
    """The file in the study's folder has the original space; an option that sets how attention starts would change
    it."""
    file = StudyFolder.of(study).space
    if not name.startswith("space."):
        return ""
    found = [f"give --space {shlex.quote(str(file))}"] if file.is_file() and asked.space != str(file) else []
    return " and ".join([*found, *(["leave out --start"] if asked.start else [])])


def _give(values: Mapping[str, object]) -> str:
    options = [f"{_flag(field)} {shlex.quote(str(value))}" for field, value in values.items()]
    return f"give {' '.join(options)}" if options else ""


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"
