"""What is put into the dashboard's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_attn.analysis.verdict import verdict_of
from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.reporting.page import StudyFacts
from nas_attn.reporting.presentation.annotated import Annotated, annotate
from nas_attn.reporting.presentation.view import Artifact, View
from nas_attn.wording.rankings import ranking_verdict

NETWORK = UNetConfig(1, 2, depth=2)
GATED = NETWORK.plain.replace(Location.parse("skip.0"), AttentionSpec("gate"))
OUTCOME = Outcome(Score(0.6, (0.6, 0.6), 0.5), Cost(10, 20), (), 1.0)
TRIAL = TrialRecord(0, NETWORK.plain, Budget(10, 16, 2), 0, Role.REFERENCE, State.COMPLETE, "plain", OUTCOME)
RECORDS = (
    TRIAL,
    replace(TRIAL, number=1, placement=GATED, role=Role.PROPOSAL, reference=None),
    replace(
        TRIAL, number=2, placement=GATED, seed=1, reference=None, outcome=None, state=State.FAILED, failure="nan"
    ),
)
VIEW = View(
    StudyFacts("made-up", NETWORK, RECORDS, verdict_of(RECORDS)),
    {"front": '{"data":[]}'},
    {"abc123": Artifact("abc123", "worst.png", b"png")},
)


class Watching:
    """A watcher of a study in which nothing happens."""

    view = VIEW

    def refresh(self) -> None:
        pass


WATCHER: Any = Watching()
EVALUATION = {
    "placement": GATED.to_dict(),
    "budget": TRIAL.budget.to_dict(),
    "seed": 5,
    "role": "finalist",
    "control": None,
    "memory": {},
    "version": "0.1.0",
}
YOUNG = {
    "number": 9,
    "state": "Running",
    "note": {"version": 0, "body": ""},
    "user_attrs": [{"key": "evaluation", "value": json.dumps(EVALUATION)}],
}
"""A trial that began after the view, as the dashboard tells it."""


def told() -> dict[str, Any]:
    """A study as the dashboard tells its page."""
    never = {"version": 0, "body": ""}
    trial = {
        "state": "Complete",
        "user_attrs": [{"key": "outcome", "value": "{...}"}, {"key": "seed", "value": "0"}],
        "note": never,
    }
    return {
        "note": never,
        "trials": [{**trial, "number": 0}, {**trial, "number": 1}, {**trial, "number": 2}, dict(YOUNG)],
        "best_trials": [{**trial, "number": 1}],
        "union_user_attrs": [{"key": "evaluation", "sortable": False}, {"key": "seed", "sortable": True}],
        "plotly_graph_objects": [{"id": "of a reader", "graph_object": "{}"}],
        "artifacts": [],
    }


def dashboard(status: str = "200 OK") -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps(told()).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def get(path: str, method: str = "GET", status: str = "200 OK") -> tuple[str, dict[str, str], bytes]:
    begun: list[Any] = []
    application = Annotated(dashboard(status), 7, WATCHER)
    body = b"".join(application({"REQUEST_METHOD": method, "PATH_INFO": path}, lambda *words: begun.append(words)))
    ((code, headers),) = begun
    return code, dict(headers), body


def test_every_trial_gets_a_note_with_its_placement_drawn() -> None:
    study = annotate(told(), VIEW)
    plain, gated, failed, younger = (trial["note"]["body"] for trial in study["trials"])
    assert f"![gate at skip.0](/nas-attn/placements/{GATED.id}.svg)" in gated
    assert "proposal; seed 0; 10 steps of 2 crops of 16 px; complete" in gated
    assert "reference architecture, plain" in plain
    assert "It failed: nan." in failed
    assert "finalist; seed 5; 10 steps of 2 crops of 16 px; running" in younger
    assert f"/nas-attn/placements/{GATED.id}.svg" in younger
    assert [trial["note"]["body"] for trial in study["best_trials"]] == [plain, gated]
    assert study["note"]["body"].startswith(f"**{ranking_verdict(VIEW.facts.ranking)}**")


def test_a_readers_own_notes_and_charts_stay() -> None:
    study = told()
    study["note"] = {"version": 3, "body": "mine"}
    study["trials"][1]["note"] = {"version": 1, "body": ""}
    annotated = annotate(study, VIEW)
    assert annotated["note"] == {"version": 3, "body": "mine"}
    assert annotated["trials"][1]["note"] == {"version": 1, "body": ""}
    assert [chart["id"] for chart in annotated["plotly_graph_objects"]] == ["nas-attn-front", "of a reader"]


def test_a_note_that_was_put_in_can_be_edited_by_a_reader() -> None:
    from optuna_dashboard._note import version_is_incremented

    version = annotate(told(), VIEW)["trials"][0]["note"]["version"]
    assert version_is_incremented({}, 1, version + 1)


def test_a_trial_of_somebody_else_has_no_note() -> None:
    study = told()
    study["trials"][3] = {**YOUNG, "user_attrs": []}
    assert annotate(study, VIEW)["trials"][3]["note"]["body"] == ""


def test_a_trial_that_has_ended_since_is_told_as_ended() -> None:
    study = told()
    study["trials"][3] = {
        **YOUNG,
        "state": "Fail",
        "user_attrs": [*YOUNG["user_attrs"], {"key": "failure", "value": json.dumps({"reason": "out of memory"})}],
    }
    assert "It failed: out of memory." in annotate(study, VIEW)["trials"][3]["note"]["body"]


def test_records_of_trials_are_left_out() -> None:
    study = annotate(told(), VIEW)
    assert [attribute["key"] for attribute in study["trials"][0]["user_attrs"]] == ["seed"]
    assert [attribute["key"] for attribute in study["union_user_attrs"]] == ["seed"]


def test_what_was_measured_has_a_line_for_each_number() -> None:
    measured = {
        "iou_per_class": [0.91990037, None, 0],
        "macs": 12007464,
        "latency_ms": 67.28763,
        "device": "cpu",
    }
    study = told()
    given = {"key": "measured", "value": json.dumps({**measured, "peak_memory_mib": None})}
    study["trials"][1]["user_attrs"].append(given)
    study["trials"][2]["user_attrs"] = [{"key": "measured", "value": given["value"][:50]}]
    study["union_user_attrs"].append({"key": "measured", "sortable": False})
    annotated = annotate(study, VIEW)

    assert annotated["trials"][1]["user_attrs"] == [
        {"key": "seed", "value": "0"},
        {"key": "iou_per_class", "value": "0.9199, none, 0"},
        {"key": "macs", "value": "12007464"},
        {"key": "latency_ms", "value": "67.29"},
        {"key": "device", "value": "cpu"},
    ]
    assert annotated["trials"][2]["user_attrs"] == [{"key": "measured", "value": given["value"][:50]}], "cut short"
    columns = [column["key"] for column in annotated["union_user_attrs"]]
    assert columns == ["seed", "iou_per_class", "macs", "latency_ms", "device", "measured"]


def test_a_study_shows_its_settings_in_place_of_its_records() -> None:
    study = told()
    context = {"classes": ["background", "cell"], "request": {"data": "clips", "trials": 20}}
    study["user_attrs"] = [
        {"key": "nas_attn:identity", "value": "{}"},
        {"key": "nas_attn:context", "value": json.dumps(context)},
        {"key": "nas_attn:plan", "value": json.dumps({"trials": 30, "parallel": 2, "timeout": None})},
        {"key": "of a reader", "value": "mine"},
    ]
    assert annotate(study, VIEW)["user_attrs"] == [
        {"key": "data", "value": "clips"},
        {"key": "trials", "value": "30"},
        {"key": "parallel", "value": "2"},
        {"key": "of a reader", "value": "mine"},
    ]


def test_the_study_is_annotated_on_its_way() -> None:
    code, headers, body = get("/api/studies/7")
    assert code == "200 OK"
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body) == annotate(told(), VIEW)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/api/studies/8", "GET", "200 OK"),
        ("/api/studies", "GET", "200 OK"),
        ("/api/studies/7", "DELETE", "200 OK"),
        ("/api/studies/7", "GET", "404 Not Found"),
        ("/artifacts/7/def", "GET", "200 OK"),
        ("/artifacts/8/abc123", "GET", "200 OK"),
    ],
)
def test_everything_else_passes_untouched(path: str, method: str, status: str) -> None:
    code, _, body = get(path, method, status)
    assert (code, json.loads(body)) == (status, told())


def test_drawings_and_panels_are_served() -> None:
    code, headers, body = get(f"/nas-attn/placements/{GATED.id}.svg")
    assert (code, headers["Content-Type"]) == ("200 OK", "image/svg+xml")
    assert b"<title>gate at skip.0</title>" in body
    assert get("/artifacts/7/abc123")[2] == b"png"
    assert get("/nas-attn/placements/0000000000.svg")[0] == "404 Not Found"


def test_a_view_is_looked_at_anew_only_where_something_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas_attn.reporting.presentation import view
    from nas_attn.study.setup.folder import StudyFolder

    class Changing:
        name = "made-up"
        beside: tuple[Any, ...] = ()

        def __init__(self, *records: TrialRecord) -> None:
            self.held = records

        def records(self) -> tuple[TrialRecord, ...]:
            return self.held

        def beginning_with(self, prefix: str) -> tuple[Any, ...]:
            return self.beside if prefix.startswith("made-up.") else ()

    ledger: Any = Changing(TRIAL)
    monkeypatch.setattr(
        view,
        "report_facts",
        lambda of: StudyFacts("made-up", NETWORK, of.records(), verdict_of(of.records())),
    )
    watcher = view.Watcher(ledger, StudyFolder(tmp_path))
    first = watcher.view
    watcher.refresh()
    assert watcher.view is first
    ledger.held = RECORDS
    watcher.refresh()
    assert "gate at skip.0" in watcher.view.trial_note(1)
    unverified = watcher.view
    ledger.beside = (Changing(TRIAL),)
    watcher.refresh()
    assert watcher.view is not unverified


def test_neither_a_repeat_nor_a_run_of_another_budget_can_be_the_best() -> None:
    """Each of them would win by its score: the repeat, and the baseline with twice the steps."""
    lucky = replace(OUTCOME, score=Score(0.9, (0.9, 0.9), 0.5))
    records = (
        *RECORDS[:2],
        replace(TRIAL, number=2, placement=GATED, seed=1, role=Role.FINALIST, reference=None, outcome=lucky),
        replace(TRIAL, number=3, budget=Budget(20, 16, 2), outcome=lucky),
    )
    view = replace(VIEW, facts=StudyFacts("made-up", NETWORK, records, verdict_of(records)))
    study = told()
    study["trials"] = [{**study["trials"][0], "number": number, "constraints": []} for number in range(4)]
    study["best_trials"] = [dict(study["trials"][3])]
    annotate(study, view)

    assert [trial["constraints"] for trial in study["trials"]] == [[], [], [1.0], [1.0]]
    front = {row.placement for row in view.facts.ranking.rows if row.on_front}
    wanted = [record.number for record in records[:2] if record.placement in front]
    assert [trial["number"] for trial in study["best_trials"]] == wanted
