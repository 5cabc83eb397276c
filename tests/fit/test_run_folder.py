"""The files of a run where there is no room for them: one line, and what was there before stays."""

import pytest
from torch import nn

from nas_attn.errors import TrainingError
from nas_attn.fit.curve import EpochRecord, write_curve
from nas_attn.fit.run_folder import write_json
from nas_attn.fit.weights import WeightsInfo, write_weights

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
    assert line.endswith("); once it can, the same command goes on")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
