"""The recipes of CONTRIBUTING, followed to the letter in a copy: each file is enough, and no list is edited."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

SPACE = """
version: 1
name: own
network: {family: unet, depth: 2, base_channels: 4, image_size: 32}
choices:
  skip: [none, {kind: simam_again, regulariser: 0.1}]
  bottleneck: [none, simam_again]
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a file for each recipe; the attention is there already, so it is renamed."""
    path = tmp_path_factory.mktemp("copy")
    for name in ("nas_attn", "tests", "search_spaces", "studies", "docs", ".ci"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, path / name)
    recipes = re.findall(r"(?ms)^```python\n# (nas_attn/\S+\.py)\n(.*?)^```$", CONTRIBUTING)
    assert len(recipes) == 3
    for name, text in recipes:
        text = text.replace('name="simam"', 'name="simam_again"')
        (path / name.replace("simam.py", "simam_again.py")).write_text(text, encoding="utf-8")
    (path / "space.yaml").write_text(SPACE)
    return path


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True)


def passed(copy: Path, *words: str) -> list[str]:
    """Which tests passed; none may fail."""
    done = run(copy, "-m", "pytest", "-q", "-rp", "-n", "0", "-p", "no:cacheprovider", *words)
    assert done.returncode == 0, done.stdout[-3000:]
    return re.findall(r"(?m)^PASSED (.+)$", done.stdout)


def test_the_contract_tests_take_them_up(copy: Path) -> None:
    attention, strategy = (f"tests/contracts/test_{one}_contract.py" for one in ("attention", "strategy"))
    found = passed(copy, attention, strategy, "-k", "simam_again or nearby")
    assert sum(one.startswith(attention) and "simam_again" in one for one in found) > 50
    assert sum(one.startswith(strategy) and "nearby" in one for one in found) > 5


def test_no_list_has_to_be_edited(copy: Path) -> None:
    names = ("cli/test_attentions_command", "space/test_shipped_spaces", "models/attention/test_build_attention")
    whole = tuple(f"tests/{name}.py" for name in (*names, "models/test_kind"))
    parted = ("tests/cli/test_docs.py", "tests/cli/test_without_torch.py")
    words = ("kinds", "costs", "layers", "facts", "attentions_need")
    files = [Path(one).stem for one in whole]
    found = passed(copy, *whole, *parted, "-k", " or ".join((*files, *words)))
    assert sum(one.startswith(whole) for one in found) > 50
    assert sum(one.startswith(parted) and any(word in one for word in words) for one in found) > 20


def test_the_commands_of_the_recipes_take_them(copy: Path) -> None:
    shown = run(copy, "-m", "nas_attn", "attentions", "simam_again")
    assert "simple, parameter-free attention" in shown.stdout
    sizes = ("--steps", "2", "--image-size", "32", "--base-channels", "4", "--batch-size", "2")
    searched = run(
        copy,
        *("-m", "nas_attn", "search", "--space", "space.yaml", "--data", "discs=1", "--strategy", "nearby"),
        *(
            "--trials",
            "5",
            "--study",
            "own",
            "--device",
            "cpu",
            "--workers",
            "1",
            "--precision",
            "float32",
            *sizes,
        ),
    )
    assert searched.returncode == 0, searched.stderr
    ranked = run(copy, "-m", "nas_attn", "rank", "own", "--json").stdout
    assert "simam_again" in ranked
    assert '"failed"' not in ranked
