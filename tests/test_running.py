"""How the tests are run: what one environment skips, another one runs; all cores share the default run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import last_skipped, sharing

PROJECT = {
    "conftest.py": Path(last_skipped.__file__).read_text(encoding="utf-8"),
    "pytest.ini": "[pytest]\nmarkers = slow: x\naddopts = -m 'not slow'\npythonpath = .\n",
    "test_here.py": """
import pytest

def test_always(): pass

@pytest.mark.parametrize("number", [1, 2])
def test_by_package(number): assert pytest.importorskip("extra").answer == 42

def test_by_device(): pytest.skip("needs a CUDA device")

@pytest.fixture
def driver(): return pytest.importorskip("driver", reason="needs pip install 'x[driver]'")

def test_by_fixture(driver): pass

@pytest.mark.xfail(strict=True)
def test_known(): raise ValueError

@pytest.mark.slow
def test_long(): pytest.skip("never seen")
""",
    "test_whole.py": """
import pytest

pytest.importorskip('extra')

def test_one(): pass

def test_two(): pass
""",
}
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run pytest on a small project; gives what it prints, and its exit status."""
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def tests(*words: str) -> str:
        # without Hypothesis, which takes longer to load than all else
        command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-rA", "--tb=no", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return f"{done.stdout}{done.stderr}status {done.returncode}\n"

    return tests


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_is_skipped_without_a_package_runs_with_it(run: Run, tmp_path: Path, workers: str) -> None:
    """Whole files too; what another run skips for want of a device is skipped again."""
    first = run("-n", workers)
    assert "1 passed, 5 skipped" in first
    (tmp_path / "extra.py").write_text("answer = 42\n", encoding="utf-8")
    (tmp_path / "driver.py").touch()
    second = run("-n", workers, "--last-skipped")

    for name in ("here.py::test_by_package[1]", "here.py::test_by_package[2]", "here.py::test_by_fixture"):
        assert f"PASSED test_{name}" in second
    for name in ("test_one", "test_two"):
        assert f"PASSED test_whole.py::{name}" in second
    assert "5 passed, 1 skipped" in second
    assert "test_always" not in second


def test_a_file_of_which_nothing_was_skipped_is_not_even_read_again(run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_all_ran.py").write_text("print('READ')\ndef test_it(): pass\n", encoding="utf-8")
    assert "READ" in run("-n", "0", "-s")
    assert "READ" not in run("-n", "0", "-s", "--last-skipped")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_still_lacks_a_package_fails(run: Run, tmp_path: Path, workers: str) -> None:
    run("-n", workers)
    (tmp_path / "extra.py").write_text("answer = 42\n", encoding="utf-8")
    second = run("-n", workers, "--last-skipped")

    assert "ERROR test_here.py::test_by_fixture" in second
    assert re.search(r"4 passed, 1 skipped, (3 deselected, )?1 error", second)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_whole_file_that_still_lacks_a_package_is_an_error(run: Run, workers: str) -> None:
    run("-n", workers)

    assert "ERROR test_whole.py" in run("-n", workers, "--last-skipped")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_was_skipped_and_is_gone_is_told(run: Run, tmp_path: Path, workers: str) -> None:
    run("-n", workers)
    (tmp_path / "extra.py").touch()
    (tmp_path / "test_here.py").write_text("def test_always(): pass\n", encoding="utf-8")
    second = run("-n", workers, "--last-skipped")

    assert "LOST test_here.py::test_by_device - skipped by the run before, and not run now" in second
    assert second.count("LOST") == 4
    assert "2 passed" in second
    assert second.endswith("status 1\n")


def test_without_a_run_before_it_nothing_is_known(run: Run) -> None:
    assert "no run before this one has noted what it skipped; run pytest first" in run("--last-skipped")


def test_looking_at_the_list_of_tests_notes_nothing(run: Run, tmp_path: Path) -> None:
    run()
    run("--collect-only")
    (tmp_path / "extra.py").touch()
    assert "SKIPPED [1] test_here.py:9: needs a CUDA device" in run("--last-skipped")


@pytest.mark.parametrize(
    ("words", "files", "keyword", "shared"),
    [
        ((), [], "", True),
        (("-x", "--last-skipped"), [], "", True),
        (("tests/space",), ["tests/space"], "", False),
        (("-k", "eca"), [], "eca", False),
        (("-m", "slow"), [], "", False),
        (("-mgpu",), [], "", False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_default_run_is_shared_out_and_a_part_of_it_is_not(
    words: tuple[str, ...], files: list[str], keyword: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    option = SimpleNamespace(file_or_dir=files, keyword=keyword)
    config = SimpleNamespace(option=option, invocation_params=SimpleNamespace(args=words))
    workers = sharing.pytest_xdist_auto_num_workers(config)  # type: ignore[arg-type]

    assert (workers > 0) == shared
    assert workers <= min(sharing.MOST, (os.cpu_count() or 1) + sharing.WAITING)
