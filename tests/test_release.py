"""What is released: a wheel that has all it needs, and files that agree on what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

import nas_attn

ROOT = Path(__file__).parents[1]
SHIPPED = ("nas_attn", "search_spaces", "studies")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in an environment of its own, which only borrows the packages that nas-attn depends on."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    with_own = ["--no-build-isolation"] if has_new_setuptools() else []
    built = [*pip, "wheel", "--no-deps", *with_own, "-q", "-w", str(place), str(source)]
    done = subprocess.run(built, capture_output=True, text=True)
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("needs setuptools 77, or the package index")
    assert done.returncode == 0, done.stderr
    (wheel,) = place.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    python = place / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "-q", str(wheel)], check=True)
    scheme = sysconfig.get_path("purelib", vars={"base": str(place / "venv")})
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (Path(scheme) / "zz-borrowed.pth").write_text("\n".join(borrowed), encoding="utf-8")
    return place / "venv" / "bin" / "nas-attn"


def has_new_setuptools() -> bool:
    """Whether what the build needs is installed; else pip fetches it."""
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except PackageNotFoundError:
        return False


def said(command: Path, *words: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([command, *words], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_knows_its_spaces_from_any_folder(installed: Path, tmp_path: Path) -> None:
    spaces = json.loads(said(installed, "spaces", "--json", cwd=tmp_path))
    assert {one["name"] for one in spaces} == {path.stem for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert not any(str(ROOT) in one["path"] for one in spaces), "the checkout's"


def test_the_wheel_plans_a_search_from_any_folder(installed: Path, tmp_path: Path) -> None:
    tiny = ("--base-channels", "4", "--image-size", "16", "--steps", "2", "--device", "cpu", "--workers", "1")
    plan = said(installed, "search", "--space", "unet_attention_small", *tiny, "--dry-run", cwd=tmp_path)
    assert "unet_attention_small: 10 locations, 432 placements" in plan


def test_the_wheel_has_the_example_studies(installed: Path) -> None:
    found = {path.name for path in (installed.parents[1] / "share" / "nas-attn" / "studies").iterdir()}
    assert found == {path.name for path in (ROOT / "studies").iterdir() if path.is_file()}


def test_all_name_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == nas_attn.__version__
    assert citation["license"] == "Apache-2.0"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (newest, *_) = re.findall(r"(?m)^## (\S+)", changes)
    assert newest == nas_attn.__version__


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_what_github_reads_is_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_workflow_tests_every_python_that_is_promised() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python-version"] == ["3.11", "3.12", "3.13", "3.14"]
    extras = re.findall(r"\.\[([\w,]+)\]", str(jobs))
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"(?m)^{name} = \[", known) for part in extras for name in part.split(","))


def test_the_image_copies_what_the_wheel_is_made_of() -> None:
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(re.search(rf"(?m)^COPY {name} ", steps) for name in SHIPPED)
