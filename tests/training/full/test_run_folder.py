"""The files of a run where there is no room for them: one line, and what was there before stays."""

from dataclasses import asdict

import pytest
from torch import nn

from nas_attn.errors import TrainingError
from nas_attn.training.full.result import EpochRecord, TrainedNetwork
from nas_attn.training.full.run_folder import RunFolder, write_curve, write_json
from nas_attn.training.full.weights import WeightsInfo, write_weights

INFO = WeightsInfo("0123456789", "-", ("a", "b"), (0.0,), (1.0,), 8, None, "fingerprint", 3, 7, 0.5, "0.1.0")
RECORD = EpochRecord(1, 1.0, 1.0, 0.5, 0.5, 0.1, 2.0)

WRITERS = {
    "weights.safetensors": lambda path, size: write_weights(path, nn.Linear(size, 1), INFO),
    "curve.csv": lambda path, size: write_curve(path, (RECORD,) * size),
    "metrics.json": lambda path, size: write_json(path, {"values": list(range(size))}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_without_room_is_one_line_and_the_old_one_stays_whole(tmp_path, room_for, name):
    path = tmp_path / name
    WRITERS[name](path, 1)
    before = path.read_bytes()
    room_for(len(before) + 100)
    with pytest.raises(TrainingError) as caught:
        WRITERS[name](path, 1000)
    (line,) = caught.value.problems
    assert line.startswith(f"{path}: cannot be written (")
    assert line.endswith("); once it can, the same command resumes")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


TRAINED = TrainedNetwork("id", 3, 2, 0.5, 0.4, (0.3, None), 1.5)


def test_the_result_of_a_finished_run_is_read_as_it_was_written(tmp_path):
    folder = RunFolder(tmp_path)
    folder.weights.touch()
    write_json(folder.metrics, {"trained": asdict(TRAINED)})
    assert folder.finished() == TRAINED


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"test_iou": "high"}, "trained.test_iou: 'high' must be a number"),
        ({"epochs": 2.5}, "trained.epochs: 2.5 must be a whole number"),
        ({"test_iou_per_class": 3}, "trained.test_iou_per_class: must be a list of numbers, not 3"),
        ({"tset_iou": 1.0}, "trained.tset_iou: unknown field; did you mean 'test_iou'?"),
    ],
    ids=["text", "half", "no list", "unknown"],
)
def test_a_result_that_somebody_changed_names_the_field(tmp_path, change, problem):
    folder = RunFolder(tmp_path)
    folder.weights.touch()
    write_json(folder.metrics, {"trained": asdict(TRAINED) | change})
    with pytest.raises(TrainingError) as caught:
        folder.finished()
    assert str(caught.value) == f"{folder.metrics}: {problem}; delete the file to have it made again"
