"""What only reads and shows never waits for torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.cli._attention_costs import DEEP, SHALLOW, known_costs
from nas_attn.cli.main import VERBS
from nas_attn.models.catalogue import KINDS, catalogue

ROOT = Path(__file__).parents[2]

WITHOUT_TORCH = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning", "torchmetrics"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refusal())
import json
from nas_attn.cli.main import main

for words in json.loads(sys.argv[1]):
    print("$", *words, flush=True)
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code
    if status:
        sys.exit(status)
"""


def run(*commands: str) -> subprocess.CompletedProcess[str]:
    """Commands, one after the other, in a process that cannot import torch."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = json.dumps([command.split() for command in commands])
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, words], env=environment, capture_output=True, text=True
    )


def test_no_help_needs_torch() -> None:
    done = run("--help", *(f"{verb} --help" for verb in VERBS))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("usage: ") == 1 + len(VERBS)


@pytest.mark.parametrize(
    "commands",
    [
        ("rank tiny", "rank tiny --json", "rank tiny --csv"),
        ("effects tiny", "effects tiny --json"),
        ("studies", "spaces"),
        ("report tiny --no-panels -o page.html",),
        (
            "export tiny -o best.yaml",
            "export studies/tiny --pick knee -o best.yaml",
            "export studies/tiny/best.yaml -o again.yaml",
        ),
    ],
    ids=lambda commands: commands[0].split()[0],
)
@pytest.mark.usefixtures("tiny_study")
def test_what_reads_and_shows_needs_no_torch(commands: tuple[str, ...]) -> None:
    done = run(*commands)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("$ ") == len(commands)


def test_attentions_need_torch_only_for_kinds_whose_costs_were_not_counted_beforehand() -> None:
    done = run("attentions cbam", "attentions", "attentions --family context --max-macs 1M")
    if catalogue().keys() <= known_costs().keys():
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert "torch is imported" in done.stderr


def test_facts_read_from_the_text_are_those_of_the_modules() -> None:
    assert dict(catalogue()) == {name: KINDS[name].kind for name in KINDS}


@pytest.mark.parametrize("name", sorted(known_costs()))
@pytest.mark.parametrize("site", [SHALLOW, DEEP], ids=str)
def test_costs_counted_beforehand_are_those_of_the_modules(name: str, site: object) -> None:
    """Where this fails, a module has changed: run python -m nas_attn.cli._attention_costs."""
    assert known_costs()[name][str(site)] == site.counted(catalogue()[name])  # type: ignore[attr-defined]
