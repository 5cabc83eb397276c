"""The subject of an export: an architecture, with its weights if it was trained.

On the command line it is a study, an architecture file, a run, or the weights of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.architecture import BEST, Architecture, read_architecture
from nas_attn.commands import command
from nas_attn.errors import ExportError, UsageError
from nas_attn.models.catalogue import catalogue
from nas_attn.reporting.presentation.report_facts import study_space
from nas_attn.study.answer import answer_by, picked, ranking_of
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.find import folder_of, is_path, open_study
from nas_attn.study.verified import read_verifications
from nas_attn.study.winner import architecture_of

if TYPE_CHECKING:  # torch is imported where a network is built
    from nas_attn.models.adapted import AdaptedNetwork
    from nas_attn.models.unet import UNet
    from nas_attn.training.full.weights import WeightsInfo

START_SEED = 0
ARCHITECTURE = "architecture.yaml"
"""Name of the file in the folder of a run."""


@dataclass(frozen=True)
class Subject:
    """An architecture with its weights.

    Args:
        architecture: the architecture.
        weights: file with the weights of a training; None if there was none.
        trained: description in that file; None likewise.
        ledger: of the study from which it was picked; None if there is none.
        study_file: that repeats this study's search; None if there is none.
    """

    architecture: Architecture
    weights: Path | None = None
    trained: WeightsInfo | None = None
    ledger: Ledger | None = None
    study_file: Path | None = None

    @property
    def counted_size(self) -> tuple[int, int]:
        """H and W for which MACs are counted: those of the study, or else of the crops of its search."""
        if self.ledger is None:
            return self.architecture.image_size, self.architecture.image_size
        space = study_space(self.ledger)
        return space.height, space.width

    @property
    def longest_side(self) -> int | None:
        """The side to which larger images were shrunk, in pixels; None if they were not, or if that is not
        known."""
        if self.trained is not None:
            return self.trained.longest_side
        asked = {} if self.ledger is None else self.ledger.context.get("request", {})
        side = asked.get("longest_side")
        return side if isinstance(side, int) else None

    def network(self) -> UNet | AdaptedNetwork:
        """The network in eval mode, with the trained weights or else with an initialisation of seed 0.

        Raises:
            ExportError: the weights do not belong to the architecture.
        """
        from nas_attn.models.build import build_network
        from nas_attn.training.full import architecture_id
        from nas_attn.training.full.weights import load_weights
        from nas_attn.training.start import fresh_network

        if self.weights is None:
            return fresh_network(self.architecture.network, self.architecture.placement, START_SEED).eval()
        network = build_network(self.architecture.network, self.architecture.placement)
        load_weights(self.weights, network, architecture_id(self.architecture))
        return network.eval()


def read_source(source: str, how: str | None = None, storage: str | None = None) -> Subject:
    """Read an architecture, with its weights if the source has some.

    Args:
        source: a study, by its name or folder; an architecture file; the folder of a run of 'nas-attn train'; or
            the weights.safetensors in it.
        how: which placement of a study, as in ``pick``; None takes its best, given all trials and verifications.
        storage: SQLAlchemy URL of the study; None for the SQLite file in its folder.
    Raises:
        UsageError: ``how`` or ``storage`` is given, and the source is not a study.
        ExportError: a file cannot be read or has errors.
        StudyError: there is no such study, or its storage cannot be read.
    """
    path = Path(source)
    if path.is_dir() and _is_study(source, storage):
        return _from_study(source, how or BEST, storage)
    if path.is_dir() and (path / ARCHITECTURE).is_file():
        read = _from_run
    elif path.suffix in (".yaml", ".yml"):
        read = _from_architecture
    elif path.is_file():
        read = _from_weights
    else:
        return _from_study(source, how or BEST, storage)
    given = {"--pick": how, "--storage": storage}
    if flags := [flag for flag, value in given.items() if value is not None]:
        raise UsageError([f"{flag} is for studies; {source} holds a single architecture" for flag in flags])
    return read(path)


def _is_study(source: str, storage: str | None) -> bool:
    """Whether the source is a study. A folder here may merely have the name of one."""
    return not is_path(source) and (storage is not None or folder_of(source).has_database)


def _from_study(study: str, how: str, storage: str | None) -> Subject:
    ledger = open_study(study, storage)
    records = ledger.records()
    ranking = ranking_of(ledger, records)
    row = picked(ranking, how, lambda: answer_by(ledger, records, ranking, read_verifications(ledger)))
    settings = folder_of(study).settings
    return Subject(
        architecture_of(ledger, records, ranking, row),
        ledger=ledger,
        study_file=settings if settings.is_file() else None,
    )


def _from_architecture(path: Path) -> Subject:
    return Subject(read_architecture(path, catalogue()))


def _from_run(path: Path) -> Subject:
    from nas_attn.training.full.run_folder import RunFolder
    from nas_attn.training.full.weights import read_info

    folder = RunFolder(path)
    if not folder.weights.is_file():
        raise ExportError(
            f"{path}: the run has no weights yet; go on with the same '{command('train')}', or export "
            f"{folder.architecture}"
        )
    architecture = read_architecture(folder.architecture, catalogue())
    return Subject(architecture, folder.weights, read_info(folder.weights))


def _from_weights(path: Path) -> Subject:
    from nas_attn.training.full.weights import read_info

    info = read_info(path)
    architecture = path.parent / ARCHITECTURE
    if not architecture.is_file():
        raise ExportError(f"{path}: there is no architecture.yaml beside it; put that of {info.placement} there")
    return Subject(read_architecture(architecture, catalogue()), path, info)
