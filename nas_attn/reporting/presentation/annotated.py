"""optuna-dashboard with notes, charts and panels, which are added to its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import TrialState

from nas_attn.errors import StudyError
from nas_attn.reporting.page import chart_id, drawing_path, trial_note
from nas_attn.reporting.presentation.served import Answer, Application, Environ, StartResponse, answer_of
from nas_attn.reporting.presentation.view import Artifact, View, Watcher
from nas_attn.study.database.ledger import CONTEXT, OF_STUDIES, PLAN
from nas_attn.study.database.records import MEASURED, WRITTEN, read_record
from nas_attn.study.database.trials import WrittenTrial

Attribute = dict[str, Any]

_NO_CANDIDATE = 1.0
"""A positive value of a constraint means that it is violated."""

_DRAWING = re.compile(re.escape(drawing_path("X")).replace("X", "(?P<id>[0-9a-f]+)"))


class Annotated:
    """A WSGI application around the dashboard's.

    Optuna stores notes and charts as attributes of the study. Written there, they would take a search's turns at
    the database, be visible half-written, and make the dashboard's time quadratic in the number of trials, because
    it scans all attributes for each trial. So they are computed from the trials and added to the answer. Notes of
    the user are stored by Optuna, and shown instead.

    Args:
        application: the dashboard's.
        study_id: Optuna's number of the study.
        watcher: has the newest view of the study.
    """

    def __init__(self, application: Application, study_id: int, watcher: Watcher) -> None:
        self._application = application
        self._study_id = study_id
        self._watcher = watcher

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") == "GET":
            if drawing := _DRAWING.fullmatch(path):
                return self._drawing(drawing["id"], start_response)
            if artifact := self._artifact(path):
                return Answer.of_kind("image/png", artifact.png).sent(start_response)
            if path == f"/api/studies/{self._study_id}":
                return self._annotated(environ).sent(start_response)
        return self._application(environ, start_response)

    def _drawing(self, placement_id: str, start_response: StartResponse) -> Iterable[bytes]:
        svg = self._watcher.view.drawing(placement_id)
        if svg is None:
            self._watcher.refresh()
            svg = self._watcher.view.drawing(placement_id)
        if svg is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"no such placement"]
        return Answer.of_kind("image/svg+xml", svg.encode()).sent(start_response)

    def _artifact(self, path: str) -> Artifact | None:
        prefix = f"/artifacts/{self._study_id}/"
        return self._watcher.view.artifacts.get(path.removeprefix(prefix)) if path.startswith(prefix) else None

    def _annotated(self, environ: Environ) -> Answer:
        """The dashboard's answer about the study, with notes, charts and panels."""
        answer = answer_of(self._application, environ)
        if not answer.is_ok:
            return answer
        study = annotate(json.loads(answer.body), self._watcher.view)
        return replace(answer, body=json.dumps(study).encode())


def annotate(study: dict[str, Any], view: View) -> dict[str, Any]:
    """Add notes, charts and panels to a study in the dashboard's format; the user's own notes stay.

    Args:
        study: of the dashboard's JSON; it is changed.
        view: of the study.
    """
    _choose_best(study, view)
    _fill(study, view.note())
    for trial in (*study.get("trials", ()), *study.get("best_trials", ())):
        _fill(trial, _note(trial, view))
        trial["user_attrs"] = attributes_of_trial(trial.get("user_attrs", ()))
    study["union_user_attrs"] = columns_of_trials(study.get("union_user_attrs", ()), study.get("trials", ()))
    study["user_attrs"] = attributes_of_study(study.get("user_attrs", ()))
    figures = [{"id": chart_id(name), "graph_object": figure} for name, figure in view.figures.items()]
    study["plotly_graph_objects"] = [*figures, *study.get("plotly_graph_objects", ())]
    artifacts = [
        {"artifact_id": artifact.number, "filename": artifact.filename, "mimetype": "image/png", "encoding": None}
        for artifact in view.artifacts.values()
    ]
    study["artifacts"] = [*artifacts, *study.get("artifacts", ())]
    return study


def _choose_best(study: dict[str, Any], view: View) -> None:
    """Let only a placement's first run at the ranked budget be the best trial: no repetition, and no run at
    another budget.

    To Optuna, the others are trials that violate a constraint, which it draws in grey and never takes as best.
    """
    trials = study.get("trials", ())
    for trial in trials:
        if trial["state"].upper() == TrialState.COMPLETE.name and not view.stands(trial["number"]):
            trial["constraints"] = [_NO_CANDIDATE]
    if trials:
        study["best_trials"] = [dict(trial) for trial in trials if view.on_front(trial["number"])]


def _note(trial: dict[str, Any], view: View) -> str:
    """The note of a trial as in the view; if it has started or ended since, as the dashboard's data describe
    it."""
    state = TrialState[trial["state"].upper()]
    if view.knows(trial["number"], finished=state.is_finished()):
        return view.trial_note(trial["number"])
    attributes = {attribute["key"]: attribute["value"] for attribute in trial.get("user_attrs", ())}
    try:
        return trial_note(read_record(WrittenTrial(trial["number"], state, attributes)))
    except StudyError:
        return ""


def _fill(noted: dict[str, Any], body: str) -> None:
    """Fill in a note. Version 0 was never written; what the user saves is version 1."""
    if not noted.get("note", {}).get("version"):
        noted["note"] = {"version": 0, "body": body}


def attributes_of_trial(attributes: Iterable[Attribute]) -> list[Attribute]:
    """The attributes without the records, which have thousands of letters each, and with one line for each
    measurement.

    The dashboard breaks no lines, so its page is as wide as the longest one.

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
    """The columns of the trials, if records and measurements are shown in this way.

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
    """The settings of the search, one line each, instead of the records that contain them."""
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
