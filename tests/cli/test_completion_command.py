"""``nas-attn completion``: a script for the shell, which bash itself runs here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.cli.main import VERBS, main


def completed(script: Path, words: list[str]) -> set[str]:
    """What bash offers for the last word."""
    line = " ".join(words)
    asked = (
        f"source {script}; COMP_WORDS=({line!s} ''); COMP_WORDS[{len(words) - 1}]='{words[-1]}'; "
        f"unset 'COMP_WORDS[{len(words)}]'; COMP_CWORD={len(words) - 1}; "
        "_shtab_nas_attn; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_verbs_and_their_options(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "nas-attn"
    script.write_text(capsys.readouterr().out)

    assert completed(script, ["nas-attn", "ver"]) == {"verify", "verdict"}
    assert completed(script, ["nas-attn", "search", "--dry"]) == {"--dry-run"}
    assert completed(script, ["nas-attn", "rank", "--js"]) == {"--json"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_every_verb_is_in_the_script_of_other_shells(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_without_the_package_the_extra_is_named(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "shtab", None)
    (line,) = refused("completion", "bash")
    assert line == "completion needs another package: pip install 'nas-attn[completion]'"
