"""The folder of a run: its owner, whether it is finished, and files that appear in it complete or not at all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from nas_attn.architecture import Architecture
from nas_attn.commands import command
from nas_attn.document import Entry, FileKind, Problems, read_model
from nas_attn.errors import TrainingError
from nas_attn.losses import UNSAID
from nas_attn.models.kind import unsaid_version
from nas_attn.training.full.result import EpochRecord, TrainedNetwork
from nas_attn.whole_file import whole_file


def architecture_id(architecture: Architecture) -> str:
    """Ten hexadecimal digits that identify network and placement."""
    network = architecture.network
    clips = f" frames={network.frames}" if network.frames > 1 else ""
    return hashlib.sha256(f"{network!r}{clips} {architecture.placement}".encode()).hexdigest()[:10]


_METRICS = FileKind("the result of a run", "trained", TrainingError)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run."""

    path: Path

    @property
    def weights(self) -> Path:
        """The weights of the best epoch."""
        return self.path / "weights.safetensors"

    @property
    def architecture(self) -> Path:
        """The architecture, completed with the classes and the normalisation of the data."""
        return self.path / "architecture.yaml"

    @property
    def metrics(self) -> Path:
        """The results of the run."""
        return self.path / "metrics.json"

    @property
    def identity(self) -> Path:
        """The identity of the run that owns the folder."""
        return self.path / "run.json"

    @property
    def plain(self) -> RunFolder:
        """The baseline's run beside this one."""
        return RunFolder(self.path / "plain")

    def check(self, identity: dict[str, object]) -> None:
        """Check that a run of this identity may start or resume here.

        Raises:
            TrainingError: the folder contains another run, or other files.
        """
        if not self.identity.exists():
            if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
                raise TrainingError(
                    f"{self.path}: holds files that are not a run of '{command('train')}'; "
                    "give another folder with -o"
                )
            return
        there = _read(self.identity)
        if "recipe" not in there:
            raise TrainingError(
                f"{self.path}: holds a run of another version of nas-attn, whose recipe is not known; "
                "give another folder with -o, or delete this one"
            )
        differences = [
            f"{name} {before!r}, not {value!r}"
            for name, value in identity.items()
            if (before := there.get(name, UNSAID.get(name, unsaid_version(name)))) != value
        ]
        if differences:
            raise TrainingError(
                f"{self.path}: holds a run with {', '.join(differences)}; "
                "give another folder with -o, or delete this one"
            )

    def claim(self, identity: dict[str, object]) -> None:
        """Write the identity into the folder.

        Raises:
            TrainingError: nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.identity, identity)
        except OSError as error:
            raise TrainingError(
                f"{self.path}: cannot be written to ({error.strerror}); give another folder with -o"
            ) from None

    def finished(self) -> TrainedNetwork | None:
        """The result of a finished run; None if it is not finished."""
        if not (self.metrics.exists() and self.weights.exists()):
            return None
        problems = Problems(str(self.metrics), _METRICS)
        trained = read_model(Entry.of(_read(self.metrics).get("trained"), "trained"), TrainedNetwork, problems)
        if trained is None:
            told = "; ".join(problems.lines)
            raise TrainingError(f"{told}; delete the file to have it made again")
        return trained


@contextlib.contextmanager
def run_file(path: Path) -> Iterator[Path]:
    """A temporary name beside a file of a run to write under, as ``whole_file`` gives it.

    Args:
        path: of the file; its folder must exist when the block ends.
    Raises:
        TrainingError: the file cannot be written.
    """
    try:
        with whole_file(path) as part:
            yield part
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk by an error of its own
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise TrainingError(
            f"{path}: cannot be written ({reason}); once it can, the same command resumes"
        ) from None


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a file of a run atomically.

    Raises:
        TrainingError: it cannot be written.
    """
    with run_file(path) as part:
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_curve(path: Path, records: tuple[EpochRecord, ...]) -> None:
    """Write all epochs so far as CSV, atomically.

    Raises:
        TrainingError: it cannot be written.
    """
    with run_file(path) as part, part.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, [field.name for field in fields(EpochRecord)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); delete the folder, or give another one") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: is not a run of '{command('train')}'; give another folder")
    return values
