"""A study for notebooks: tables, figures and networks."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.analysis.effects import StudyEffects, study_effects
from nas_attn.analysis.formats import ranking_rows
from nas_attn.analysis.per_class import ranked_ious
from nas_attn.analysis.verdict import StudyVerdict
from nas_attn.analysis.verification import Verification
from nas_attn.architecture import BEST, Architecture
from nas_attn.config.settings import AUTO
from nas_attn.errors import MissingPackageError, StudyError
from nas_attn.export.formats import known_formats, targets
from nas_attn.export.save import Saved
from nas_attn.export.save import save as save_subject
from nas_attn.export.subject import Subject, read_source
from nas_attn.models.described_network import Network
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.reporting.page import draw_unet
from nas_attn.reporting.page.front import front_chart, front_data
from nas_attn.reporting.page.heat_maps import effects_chart
from nas_attn.reporting.page.markup import html_table, safe
from nas_attn.reporting.presentation.report_facts import study_space
from nas_attn.study.answer import answer_by, picked, ranking_of
from nas_attn.study.claim import Claim
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.find import open_study as open_ledger
from nas_attn.study.setup.join import JoinRequest, resolve_joined
from nas_attn.study.verified import read_verifications
from nas_attn.study.verify import verify
from nas_attn.study.winner import architecture_of
from nas_attn.wording.costs import latency_text
from nas_attn.wording.numbers import bounds, counted, points
from nas_attn.wording.placements import describe
from nas_attn.wording.rankings import gained, measured, named
from nas_attn.wording.verdicts import answer_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SHOWN = 10


def open_study(name: str | Path, storage: str | None = None) -> OpenedStudy:
    """Open a study: its ranking, effects, figures and best network.

    >>> import nas_attn
    >>> study = nas_attn.open_study("first")  # doctest: +SKIP
    >>> study.ranking.to_pandas()  # doctest: +SKIP
    >>> network = study.best.model()  # doctest: +SKIP

    Args:
        name: of the study, or its folder.
        storage: SQLAlchemy URL; the default is SQLite in the study's folder.
    Raises:
        StudyError: there is no such study, or its storage cannot be read.
    """
    opened = OpenedStudy(str(name), storage)
    opened.check()
    return opened


@dataclass(frozen=True, eq=False, repr=False)
class OpenedStudy:
    """A study, read on first use. Open it again to see the progress of a running search.

    Args:
        name: of the study, or its folder.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
    """

    name: str
    storage: str | None = None

    @cached_property
    def records(self) -> tuple[TrialRecord, ...]:
        """All trials, by number."""
        return tuple(self._ledger.records())

    @cached_property
    def answer(self) -> StudyVerdict:
        """The verdict, better, equivalent or undecided, from all trials and verifications."""
        return answer_by(self._ledger, self.records, self._ranking, read_verifications(self._ledger))

    @property
    def verdict(self) -> str:
        """The verdict in one to three sentences."""
        return answer_text(self.answer)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self._ledger.context.get("classes", ()))

    @cached_property
    def ranking(self) -> RankingTable:
        """The ranking of the placements."""
        return RankingTable(self._ranking, ranked_ious(self.records, self._ranking, self.classes))

    @cached_property
    def effects(self) -> EffectsTable:
        """What each attention adds at each location."""
        return EffectsTable(study_effects(self.records))

    @property
    def best(self) -> Picked:
        """The placement to use: the first that is significantly better than the baseline, otherwise the
        baseline."""
        return self.pick(BEST)

    def pick(self, how: str) -> Picked:
        """A placement of the study.

        Args:
            how: ``best``, ``first``, ``knee``, ``one-se``, ``under:macs=1.2x`` or ``id:1f0c``.
        Raises:
            StudyError: no trial is complete.
        """
        if not self._ranking.rows:
            raise StudyError(f"study '{self.name}': no trial is complete yet, so there is nothing to pick")
        row = picked(self._ranking, how, lambda: self.answer)
        return Picked(architecture_of(self._ledger, self.records, self._ranking, row), row)

    def draw(self, how: str = "first") -> Drawing:
        """Draw a placement.

        Args:
            how: as in ``pick``.
        """
        return self.pick(how).draw()

    def plot_front(self) -> go.Figure:
        """The gain over the baseline against the cost, as a Plotly figure."""
        return front_chart(front_data(self._ranking), self._network.input_name).figure

    def plot_effects(self) -> go.Figure:
        """What each attention adds at each location, as a Plotly figure.

        Raises:
            StudyError: the study has too few runs.
        """
        if not self.effects.effects.effects:
            raise StudyError(f"study '{self.name}': it has too few runs to estimate effects")
        return effects_chart(self.effects.effects).figure

    def export(
        self, path: str | Path, *, pick: str | None = None, formats: Sequence[str] | None = None
    ) -> tuple[Saved, ...]:
        """Export a placement as ``nas-attn export`` does.

        Args:
            path: of the file, whose suffix gives the format; without a suffix if there are several ``formats``.
            pick: which placement; None takes the best.
            formats: names of formats; None takes the format of the suffix.
        """
        files = targets(Path(path), None if formats is None else known_formats(formats))
        return tuple(save_subject(read_source(self.name, pick, self.storage), files))

    def verify(
        self,
        *,
        seeds: int = 5,
        pick: str | None = None,
        ablate: bool = False,
        data: str | None = None,
        device: str = AUTO,
        workers: int | str = AUTO,
    ) -> Verification:
        """Verify a placement as ``nas-attn verify`` does: with fresh seeds, on the test data. It starts processes.

        Args:
            seeds: number of fresh seeds of each placement, at least 2.
            pick: the winner, as in ``pick``; None takes the best claim.
            ablate: whether to run the winner also without each of its modules.
            data: folder of the images on this machine; None takes the folder of the search.
            device: where to train.
            workers: number of parallel runs.
        """
        claim = Claim.of(self.records, self._ranking, pick)
        request = JoinRequest(self.name, self.storage, data, device, workers)  # type: ignore[arg-type]  # judged there
        resolved, folder, _ = resolve_joined(request)
        found = verify(
            resolved, folder, claim, n_seeds=seeds, ablate=ablate, listener=lambda finished, wanted: None
        )
        self.__dict__.pop("answer", None)  # the verification may change it
        return found.result

    def check(self) -> None:
        """Check that the study exists.

        Raises:
            StudyError: it does not, or its storage cannot be read.
        """
        _ = self._ledger

    def __repr__(self) -> str:
        return f"<study '{self.name}': {counted(len(self.records), 'trial')}, {self.answer.answer}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{safe(self.verdict)}</b></p>{self.ranking._repr_html_()}"

    @cached_property
    def _ledger(self) -> Ledger:
        return open_ledger(self.name, self.storage)

    @cached_property
    def _ranking(self) -> Ranking:
        return ranking_of(self._ledger, self.records)

    @cached_property
    def _network(self) -> Network:
        return study_space(self._ledger).network


@dataclass(frozen=True, eq=False, repr=False)
class Picked:
    """A placement of a study.

    Args:
        architecture: with everything that is needed to build it.
        row: of the ranking.
    """

    architecture: Architecture
    row: RankedPlacement

    @property
    def placement(self) -> Placement:
        """The attention at each location."""
        return self.row.placement

    def model(self) -> nn.Module:
        """The network in eval mode, with initial weights; a network of others has its pretrained weights if it was
        searched with them."""
        return Subject(self.architecture).network()

    def draw(self) -> Drawing:
        """The U-Net with its modules."""
        return Drawing(draw_unet(self.architecture.network, self.placement), describe(self.placement))

    def __repr__(self) -> str:
        return f"<{named(self.row)}, rank {self.row.rank}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{safe(named(self.row))}</b>, rank {self.row.rank}</p>{self.draw().svg}"


@dataclass(frozen=True)
class Drawing:
    """A drawing of a placement, which notebooks display.

    Args:
        svg: the drawing.
        told: its content, in words.
    """

    svg: str
    told: str

    def save(self, path: str | Path) -> Path:
        """Write it to a file such as ``best.svg``."""
        Path(path).write_text(self.svg, encoding="utf-8")
        return Path(path)

    def __repr__(self) -> str:
        return f"<drawing of {self.told}>"

    def _repr_svg_(self) -> str:
        return self.svg


class _Tabular:
    """A table that can be shown as HTML, text and data frame."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """One row each, as plain values."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise MissingPackageError("to_pandas needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.to_dicts())


@dataclass(frozen=True, eq=False, repr=False)
class RankingTable(_Tabular):
    """The ranking of a study.

    Args:
        ranking: the ranking.
        per_class: IoU of each class by the id of each placement.
    """

    ranking: Ranking
    per_class: Mapping[str, Mapping[str, float | None]]

    @property
    def rows(self) -> tuple[RankedPlacement, ...]:
        """The placements, best first."""
        return self.ranking.rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[RankedPlacement]:
        return iter(self.rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows of ``nas-attn rank --json``, with one more value for the IoU of each class."""
        return [
            {**row, "placement": describe(one.placement), **self._of_classes(one)}
            for row, one in zip(ranking_rows(self.ranking), self.rows, strict=True)
        ]

    def _of_classes(self, row: RankedPlacement) -> dict[str, float | None]:
        return {f"iou_{name}": value for name, value in self.per_class.get(row.placement.id, {}).items()}

    def __repr__(self) -> str:
        first = f", first {named(self.rows[0])}" if self.rows else ""
        return f"<ranking of {counted(len(self.rows), 'placement')}{first}>"

    def _repr_html_(self) -> str:
        word = self.ranking.metric.word
        head = ("rank", "placement", f"{word} x100", "gain", "measured", "seeds", "ms", "MACs", "parameters")
        rows = [
            (
                str(row.rank),
                named(row),
                f"{100 * row.iou_mean:.1f}",
                gained(row),
                measured(row),
                str(row.n_seeds),
                latency_text(row, self.ranking),
                f"{row.cost.macs:,}",
                f"{row.cost.parameters:,}",
            )
            for row in self.rows[:_SHOWN]
        ]
        return html_table(head, rows, len(self.rows))


@dataclass(frozen=True, eq=False, repr=False)
class EffectsTable(_Tabular):
    """What each attention adds at each location.

    Args:
        effects: the effects.
    """

    effects: StudyEffects

    def __len__(self) -> int:
        return len(self.effects.effects)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One row for each attention at each location; effects are in units of IoU."""
        return [
            {
                "location": str(one.location),
                "attention": str(one.attention),
                "effect": one.mean,
                "ci_low": one.interval and one.interval.low,
                "ci_high": one.interval and one.interval.high,
                "is_sure": one.is_sure,
                "n_placements": one.n_placements,
            }
            for one in self.effects.effects
        ]

    def __repr__(self) -> str:
        sure = sum(one.is_sure for one in self.effects.effects)
        return f"<{counted(len(self), 'effect')}, {sure} distinguishable from 0>"

    def _repr_html_(self) -> str:
        head = ("location", "attention", f"{self.effects.word} points", "interval", "placements")
        rows = [
            (
                str(one.location),
                str(one.attention),
                points(one.mean) + ("*" if one.is_sure else ""),
                bounds(one.interval),
                str(one.n_placements),
            )
            for one in sorted(self.effects.effects, key=lambda one: (not one.is_sure, -abs(one.mean)))[:_SHOWN]
        ]
        return html_table(head, rows, len(self))
