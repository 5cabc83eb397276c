"""``pytest --last-skipped``: what the last run skipped, in an environment with more packages.

A test that is skipped for want of a package runs nowhere unless somebody has that package. So each run notes what
it skipped, and this option runs just that: together, the run without the packages and this one run every test.
What is still skipped then, is so for want of a device, a server or a browser; what still lacks a package fails,
and what was skipped and is no longer there fails the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NOTE = "nas-attn/skipped"
_LACKS_A_PACKAGE = re.compile(r"could not import|pip install")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--last-skipped",
        action="store_true",
        help="run what the last run skipped; what still lacks a package fails",
    )


def pytest_configure(config: pytest.Config) -> None:
    again = config.getoption("last_skipped")
    if again and _noted(config) is None:
        raise pytest.UsageError(
            "--last-skipped: no run before this one has noted what it skipped; run pytest first"
        )
    if not hasattr(config, "workerinput"):  # it hears what the workers of pytest-xdist report
        config.pluginmanager.register(_Completeness(config) if again else _Note(config))


def _noted(config: pytest.Config) -> list[str] | None:
    """Tests, and files that were skipped as a whole; None where no run has noted any."""
    return None if getattr(config, "cache", None) is None else config.cache.get(_NOTE, None)


class _Note:
    """Writes down what a run skips."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if getattr(self._config, "cache", None) is not None and not self._config.option.collectonly:
            self._config.cache.set(_NOTE, sorted(self._skipped))


class _Completeness:
    """Sees to it that whatever was noted was tried again."""

    def __init__(self, config: pytest.Config) -> None:
        self._lost = set(_noted(config) or ())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._lost -= {report.nodeid, report.nodeid.partition("::")[0]}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._lost and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for nodeid in sorted(self._lost):
            terminalreporter.write_line(f"LOST {nodeid} - skipped by the run before, and not run now", red=True)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of which nothing was skipped need not be imported, and its tests not be made."""
    if not config.getoption("last_skipped") or collection_path.is_dir():
        return None
    files = {nodeid.partition("::")[0] for nodeid in _noted(config) or ()}
    return None if collection_path.relative_to(config.rootpath).as_posix() in files else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("last_skipped"):
        return
    noted = set(_noted(config) or ())
    wanted = [item for item in items if noted & {item.nodeid, item.nodeid.partition("::")[0]}]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    return _without_excuse(item.config, report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    report = yield
    return _without_excuse(collector.config, report)


def _without_excuse(config: pytest.Config, report: Any) -> Any:
    if config.getoption("last_skipped") and report.skipped and _LACKS_A_PACKAGE.search(str(report.longrepr)):
        report.outcome = "failed"
    return report
