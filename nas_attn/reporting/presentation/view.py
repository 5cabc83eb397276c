"""The content that a dashboard shows in addition to Optuna's own, kept up to date while the study runs."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from nas_attn.analysis import RankedPlacement
from nas_attn.errors import NasAttnError
from nas_attn.models.placement import Placement
from nas_attn.record import State, TrialRecord, n_ended
from nas_attn.reporting.page import StudyFacts, dashboard_figures, study_note, trial_note, unet_image
from nas_attn.reporting.presentation.panel_store import read_panels
from nas_attn.reporting.presentation.pictures import draw_strip
from nas_attn.reporting.presentation.report_facts import report_facts
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.verified import n_runs

LEAST_SECONDS = 5.0
SHARE = 0.1
"""Share of the time that may be spent on updates: expensive ones run less often."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A file that the dashboard shows with the study.

    Args:
        number: hexadecimal; Optuna calls it artifact_id.
        filename: that the user sees.
        png: the file's contents.
    """

    number: str
    filename: str
    png: bytes


@dataclass(frozen=True)
class View:
    """A study at one moment.

    Args:
        facts: of the study.
        figures: Plotly's JSON by name.
        artifacts: prediction panels, by number.
    """

    facts: StudyFacts
    figures: Mapping[str, str]
    artifacts: Mapping[str, Artifact]

    def note(self) -> str:
        """The note of the study, in Markdown."""
        return study_note(self.facts)

    def knows(self, number: int, *, finished: bool) -> bool:
        """Whether this view already has a trial in this state."""
        record = self._records.get(number)
        return record is not None and finished == (record.state is not State.RUNNING)

    def trial_note(self, number: int) -> str:
        """The note of a trial, in Markdown; empty for a trial that started after this moment."""
        record = self._records.get(number)
        if record is None:
            return ""
        return trial_note(record, self._rows.get(record.placement), self.facts.ranking.metric.word)

    def stands(self, number: int) -> bool:
        """Whether a trial represents its placement: it is the first run at the ranked budget."""
        return number in self._standing

    def on_front(self, number: int) -> bool:
        """Whether a trial represents a placement on the Pareto front."""
        record = self._records.get(number)
        row = None if record is None else self._rows.get(record.placement)
        return row is not None and row.on_front and self.stands(number)

    def drawing(self, placement_id: str) -> str | None:
        """The SVG of a placement of the study; None if it is unknown."""
        placement = self._placements.get(placement_id)
        return None if placement is None else unet_image(self.facts.network, placement)

    @cached_property
    def _rows(self) -> Mapping[Placement, RankedPlacement]:
        return {row.placement: row for row in self.facts.ranking.rows}

    @cached_property
    def _records(self) -> Mapping[int, TrialRecord]:
        return {record.number: record for record in self.facts.records}

    @cached_property
    def _placements(self) -> Mapping[str, Placement]:
        return {record.placement.id: record.placement for record in self.facts.records}

    @cached_property
    def _standing(self) -> Set[int]:
        """Numbers of the first complete runs of all placements at the ranked budget."""
        first: dict[Placement, int] = {}
        for record in self.facts.records:
            if record.outcome is not None and record.budget == self.facts.ranking.budget:
                first.setdefault(record.placement, record.number)
        return frozenset(first.values())


class Watcher:
    """Looks at a study regularly and provides the newest view.

    Nothing is written to the study, so a running search is neither slowed down nor changed.

    Args:
        ledger: of the study.
        folder: of the study, in which a report stores its panels.
    Raises:
        StudyError: the study cannot be read.
    """

    def __init__(self, ledger: Ledger, folder: StudyFolder) -> None:
        self._ledger = ledger
        self._folder = folder
        self._seen: tuple[object, ...] = ()
        self._ended = threading.Event()
        self.view = self._look()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Update the view regularly within this context."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def refresh(self) -> None:
        """Update the view once. If nothing has changed, it stays the same object."""
        if self._state() != self._seen:
            self.view = self._look()

    def _watch(self) -> None:
        pause = LEAST_SECONDS
        while not self._ended.wait(pause):
            started = time.perf_counter()
            try:
                self.refresh()
            except NasAttnError as error:  # such as a database that another process holds for long
                log.warning("the study cannot be read at the moment: %s", error)
            pause = max(LEAST_SECONDS, (time.perf_counter() - started) / SHARE)

    def _look(self) -> View:
        self._seen = self._state()
        facts = report_facts(self._ledger)
        artifacts = {artifact.number: artifact for artifact in _artifacts(self._folder)}
        return View(facts, MappingProxyType(dashboard_figures(facts)), MappingProxyType(artifacts))

    def _state(self) -> tuple[object, ...]:
        """The state of the study, equal as long as nothing changes."""
        records = self._ledger.records()
        return len(records), n_ended(records), n_runs(self._ledger), _changed_at(self._folder)


def _changed_at(folder: StudyFolder) -> float:
    try:
        return (folder.panels / "panels.json").stat().st_mtime
    except OSError:
        return 0.0


def _artifacts(folder: StudyFolder) -> Iterator[Artifact]:
    panels = read_panels(folder.panels)
    for panel in panels.panels if panels else ():
        png = draw_strip(panel)
        number = hashlib.sha256(png).hexdigest()[:32]
        name = panel.image.replace("/", "-")  # of a frame: CLIP/0001
        yield Artifact(number, f"{panel.why}-{name}.png", png)
