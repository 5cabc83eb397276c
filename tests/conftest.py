from __future__ import annotations

import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.last_skipped", "tests.sharing"]

# Before torch is imported: tests compute little at a time, and threads that wait for each other cost more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What a search remembers of this machine is neither read from the user's home nor written there.
HOME = tempfile.mkdtemp(prefix="nas-attn-home-")
os.environ["HOME"] = HOME
# How long something takes says little where others compute at the same time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_unconfigure() -> None:
    """Leave nothing of that home behind."""
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: full/, mini/ and raw/, each with three sets."""
    named = os.environ.get("NAS_ATTN_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "mini").is_dir():
        reason = f"no real data at {folder}; set NAS_ATTN_SHARED_DATA to the folder that holds mini/"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def shared_cases(shared_data: Path) -> Path:
    """The folder of scripts beside the real data, each of which builds a folder of a form that people have."""
    folder = shared_data.parent / "cases"
    if not (folder / "base.py").is_file():
        pytest.skip(f"no scripts of cases at {folder}")
    return folder


@pytest.fixture
def small_unet(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """The hand-written U-Net of the examples, which in this test is found as ``small_unet:SmallUNet``."""
    folder = str(Path(__file__).parents[1] / "examples" / "your_network")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)
    yield importlib.import_module("small_unet").SmallUNet
    sys.modules.pop("small_unet", None)


@pytest.fixture(scope="session", autouse=True)
def read_migrations_once() -> Iterator[None]:
    """Whenever a storage is opened Optuna reads all scripts that ever changed its tables; here, once a process."""
    read: dict[str | None, ScriptDirectory] = {}
    from_config = ScriptDirectory.from_config

    def read_once(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in read:
            read[location] = from_config(config)
        return read[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", staticmethod(read_once))
        yield


@pytest.fixture(scope="session", autouse=True)
def heed_ctrl_c() -> None:
    """A background job is started with Ctrl-C ignored, and so would be all that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums: what is compared bit for bit runs in one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def room_for() -> Iterator[Callable[[int | None], None]]:
    """Lets no file of this process grow beyond so many bytes, as on a disk that is full; None lifts the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(most_bytes: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before if most_bytes is None else (most_bytes, before[1]))

    yield limit
    limit(None)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="nas-attn-open-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def as_nobody() -> Callable[[], AbstractContextManager[None]]:
    """Makes this process an ordinary user for a while, whom closed folders stop; who is one already stays it."""

    @contextmanager
    def nobody() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        try:
            os.seteuid(65534)
        except OSError:
            pytest.skip("root cannot be left here, and nothing is closed to it")
        try:
            if not os.access(pytest.__file__, os.R_OK, effective_ids=True):
                pytest.skip("the packages are closed to ordinary users here")
            yield
        finally:
            os.seteuid(0)

    return nobody


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium, as Playwright drives it; tests are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs pip install 'nas-attn[browser]'")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_api.sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium: install it, or run 'playwright install chromium'")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
