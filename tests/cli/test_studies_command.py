"""``nas-attn studies``: one line for each study, also for one that cannot be read."""

from __future__ import annotations

from nas_attn.cli.main import main


def test_without_studies_the_way_to_one_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["studies"]) == 0
    assert "no studies in studies/ yet; start one with: nas-attn search" in capsys.readouterr().out


def test_each_study_is_a_line(tiny_study, capsys, tmp_path):
    (tmp_path / "studies" / "broken").mkdir()
    (tmp_path / "studies" / "broken" / "study.db").write_bytes(b"no database")

    assert main(["studies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (tiny,) = (line for line in lines if line.startswith("tiny"))
    assert tiny.split()[1:6] == ["unet_attention_small", "synthetic", "random", "macs", "10"]
    assert lines[-1].startswith("cannot be read: studies/broken/study.db: no SQLite database, or a broken one")


def test_it_takes_no_word(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    (line,) = refused("studies", "tiny")
    assert "unexpected argument 'tiny'" in line
