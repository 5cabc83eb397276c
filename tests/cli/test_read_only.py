"""A study in a place that cannot be written is ranked, reported and exported as ever."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.cli.main import main

ROOT = Path(__file__).parents[2]
COMMANDS = ("rank tiny --csv", "studies", "effects tiny", "report tiny --no-panels -o {out}/page.html")


def outputs(capsys, out):
    """What each command prints, and the page and the architecture that it writes."""
    printed = []
    capsys.readouterr()
    for command in (*COMMANDS, "export tiny -o {out}/best.yaml"):
        assert main(command.format(out=out).split()) == 0, capsys.readouterr().err
        printed.append(capsys.readouterr().out.replace(str(out), "OUT"))
    written = [(out / name).read_text() for name in ("page.html", "best.yaml")]
    for name in ("page.html", "best.yaml"):
        (out / name).unlink()  # which another user could not write again
    return printed, written


def tidy(database):
    """Who opens a database last takes its log into it and removes that."""
    connection = sqlite3.connect(database)
    connection.execute("SELECT * FROM studies").fetchall()
    connection.close()
    assert not database.with_name("study.db-wal").exists()


def leave_a_log(database, *, index):
    """As a search that is killed leaves its database: the last trial is in the log only."""
    copy = database.with_name("killed")
    copy.mkdir()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("UPDATE studies SET study_name = 'kept in the log' WHERE study_name = 'tiny'")
    connection.execute("UPDATE studies SET study_name = 'tiny' WHERE study_name = 'kept in the log'")
    connection.execute("DELETE FROM trials WHERE number = 9")
    connection.commit()
    for end in ("", "-wal", "-shm"):
        shutil.copy(f"{database}{end}", copy / f"study.db{end}")
    connection.close()
    for file in copy.iterdir():
        shutil.move(file, database.with_name(file.name))
    copy.rmdir()
    if not index:
        database.with_name("study.db-shm").unlink()


@pytest.fixture
def closed(tiny_study, open_folder, monkeypatch, as_nobody, capsys):
    """The tiny study in a folder that the user may read only, and a folder for what is written."""
    shutil.copytree("studies", open_folder / "studies")
    tidy(open_folder / "studies" / "tiny" / "study.db")
    monkeypatch.chdir(open_folder)
    (open_folder / "out").mkdir()
    (open_folder / "out").chmod(0o777)
    main(["export", "tiny", "-o", "out/best.yaml"])  # imports all that another user may not be able to
    yield open_folder / "studies" / "tiny"
    for path in sorted(open_folder.rglob("*")):
        path.chmod(0o755)


def close(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.parametrize("left", ["nothing", "a log with its index", "a log without its index"])
def test_a_study_of_somebody_else_is_read(closed, as_nobody, capsys, left):
    if left != "nothing":
        leave_a_log(closed / "study.db", index=left == "a log with its index")
        shutil.copytree(closed, closed.parent / "writable" / "tiny")
    before = outputs(capsys, Path("out"))
    gc.collect()  # connections
    if left == "nothing":
        tidy(closed / "study.db")
    if left != "nothing":
        shutil.rmtree(closed)
        shutil.copytree(closed.parent / "writable" / "tiny", closed)
        shutil.rmtree(closed.parent / "writable")
    close(closed)
    listed = sorted(path.name for path in closed.iterdir())
    with as_nobody():
        assert not os.access(closed, os.W_OK, effective_ids=True)
        assert outputs(capsys, Path("out")) == before
    assert sorted(path.name for path in closed.iterdir()) == listed


def test_a_search_of_a_study_that_cannot_be_written_is_refused_in_one_line(closed, tiny_study, as_nobody, capsys):
    close(closed)
    capsys.readouterr()
    with as_nobody():
        assert main([*tiny_study.arguments, "--trials", "11"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "nas-attn: error: studies/tiny: the study's folder cannot be written: Permission denied"


def test_a_report_shows_its_panels_though_they_cannot_be_kept(closed, as_nobody, capsys):
    main(["report", "tiny", "-o", "out/page.html"])
    shutil.rmtree(closed / "panels")
    shutil.rmtree(closed / "packed-images")
    close(closed)
    capsys.readouterr()
    with as_nobody():
        assert main(["report", "tiny", "-o", "out/other.html"]) == 0
    assert "the prediction panels cannot be written: Permission denied" in capsys.readouterr().out
    assert Path("out/other.html").read_text() == Path("out/page.html").read_text()


MOUNTED = """
mount -t tmpfs none {mount} && cp -r {study} {mount}/studies && mount -o remount,ro {mount} && cd {mount} || exit 9
{python} -c "
import sys
from nas_attn.cli.main import main
sys.exit(max(main(words.split()) for words in {commands!r}))
"
"""


def test_a_study_on_a_mount_that_is_read_only_is_read(tiny_study, tmp_path):
    """For root, too, whom no permission stops."""
    mount, out = tmp_path / "mount", tmp_path / "out"
    mount.mkdir()
    out.mkdir()
    tidy(tmp_path / "studies" / "tiny" / "study.db")
    run = ("unshare", "-rm", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*run, f"mount -t tmpfs none {mount}"]).returncode:
        pytest.skip("nothing can be mounted here")
    commands = [command.format(out=out) for command in (*COMMANDS, "export tiny -o {out}/best.yaml")]
    script = MOUNTED.format(mount=mount, study=tmp_path / "studies", python=sys.executable, commands=commands)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*run, script], capture_output=True, text=True, env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert "tiny" in done.stdout
    assert (out / "page.html").stat().st_size > 10_000
    assert (out / "best.yaml").is_file()
