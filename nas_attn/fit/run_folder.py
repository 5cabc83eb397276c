"""The folder of a run: whose it is, and whether it is finished."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_attn.document import Entry, FileKind, Problems, read_model
from nas_attn.errors import TrainingError
from nas_attn.fit.identity import RunIdentity
from nas_attn.fit.result import TrainedNetwork
from nas_attn.fit.run_file import run_file

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
        """The architecture, completed with what the data say."""
        return self.path / "architecture.yaml"

    @property
    def metrics(self) -> Path:
        """What came out."""
        return self.path / "metrics.json"

    @property
    def identity(self) -> Path:
        """Whose folder it is."""
        return self.path / "run.json"

    @property
    def plain(self) -> RunFolder:
        """The run of the plain U-Net beside this one."""
        return RunFolder(self.path / "plain")

    def check(self, identity: RunIdentity) -> None:
        """Make sure that a run of this identity may go on, or begin, here.

        Raises:
            TrainingError: the folder holds another run, or other files.
        """
        if not self.identity.exists():
            if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
                raise TrainingError(
                    f"{self.path}: holds files that are no run of 'nas-attn train'; give another folder with -o"
                )
            return
        there = _read(self.identity)
        differences = [
            f"{name} {there.get(name)!r}, not {value!r}"
            for name, value in identity.to_dict().items()
            if there.get(name) != value
        ]
        if differences:
            raise TrainingError(
                f"{self.path}: holds a run with {', '.join(differences)}; "
                "give another folder with -o, or delete this one"
            )

    def claim(self, identity: RunIdentity) -> None:
        """Write the identity down.

        Raises:
            TrainingError: nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.identity, identity.to_dict())
        except OSError as error:
            raise TrainingError(
                f"{self.path}: cannot be written to ({error.strerror}); give another folder with -o"
            ) from None

    def finished(self) -> TrainedNetwork | None:
        """What a finished run found out; None where it is not finished."""
        if not (self.metrics.exists() and self.weights.exists()):
            return None
        problems = Problems(str(self.metrics), _METRICS)
        trained = read_model(Entry.of(_read(self.metrics).get("trained"), "trained"), TrainedNetwork, problems)
        if trained is None:
            told = "; ".join(problems.lines)
            raise TrainingError(f"{told}; delete the file to have it made again")
        return trained


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a file of a run in one stroke.

    Raises:
        TrainingError: it cannot be written.
    """
    with run_file(path) as part:
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); delete the folder, or give another one") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path}: is no run of 'nas-attn train'; give another folder")
    return values
