"""Whose failure an error is."""

from __future__ import annotations

import pytest

from nas_attn.errors import DataError, DivergedError, MachineError, MissingPackageError, NetworkError, StudyError
from nas_attn.record import Failure
from nas_attn.study.workers.attempt import cause_of, stop_if_out_of_order


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(DataError("images/a.png: is damaged"), "data", id="data"),
        pytest.param(MachineError("the decoded images are damaged"), "data", id="decoded images"),
        pytest.param(EOFError("no data left in file"), "data", id="cut file"),
        pytest.param(OSError(5, "Input/output error"), "disk", id="disk"),
        pytest.param(PermissionError(13, "Permission denied"), "disk", id="permission"),
        pytest.param(ModuleNotFoundError("No module named 'scipy'"), "software", id="import"),
        pytest.param(MissingPackageError("pip install timm"), "software", id="package"),
        pytest.param(RuntimeError("No CUDA GPUs are available"), "device", id="no device"),
        pytest.param(
            RuntimeError("CUDA error: uncorrectable ECC error encountered"), "device", id="broken device"
        ),
        pytest.param(
            RuntimeError("CUDA driver initialization failed"),
            "device",
            id="driver",
        ),
        pytest.param(RuntimeError("CUDA error: device-side assert triggered"), "crash", id="kernel"),
        pytest.param(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "crash", id="cudnn"),
        pytest.param(RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), None, id="shapes"),
        pytest.param(ValueError("Expected more than 1 value per channel when training"), None, id="values"),
        pytest.param(DivergedError("the loss is nan"), None, id="diverged"),
        pytest.param(NetworkError("an image is too small"), None, id="network"),
    ],
)
def test_an_error_tells_what_has_failed(error: Exception, cause: str | None) -> None:
    assert cause_of(error) == cause


def faults(*causes: str) -> list[Failure]:
    return [Failure(f"the {cause} is gone", cause=cause) for cause in causes]


@pytest.mark.parametrize(
    ("causes", "stops"),
    [
        (("data",), False),
        (("data", "data"), True),
        (("data", "disk"), False),
        (("data", "disk", "data"), False),
        (("data", "disk", "disk"), True),
        (("data", "disk", "data", "disk", "data"), True),
    ],
    ids=str,
)
def test_the_second_failure_in_a_row_for_one_cause_ends_the_search(causes: tuple[str, ...], stops: bool) -> None:
    if not stops:
        stop_if_out_of_order(7, faults(*causes))
        return
    with pytest.raises(StudyError, match=rf"trial 7 has failed {len(causes)} times.*the {causes[-1]} is gone"):
        stop_if_out_of_order(7, faults(*causes))
