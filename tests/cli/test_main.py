"""The command line as a whole: instant help, and one clear line for each mistake."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn import __version__
from nas_attn.cli.main import VERBS, main
from nas_attn.errors import StudyError

HEAVY = ("pydantic", "torch", "optuna", "lightning", "torchmetrics", "tensorboard", "optuna_dashboard")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an empty folder, a file that is none, and files with mistakes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("text", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(
        "version: 1\nspaces: unet_attention\ntrials: many\ncost: mac\ndevice: gpu\nmax_macs: lots\n",
        encoding="utf-8",
    )
    (tmp_path / "broken.yaml").write_text("version: 1\nspace: [unet\n", encoding="utf-8")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    try:
        status = main(words)
    except SystemExit as end:
        status = int(end.code or 0)
    output = capsys.readouterr()
    return status, output.out, output.err


MISTAKES = {
    "unknown verb": ("serach", ["unknown verb 'serach'; did you mean 'search'?"]),
    "unknown verb, none near": ("xyz", ["unknown verb 'xyz'; known: attentions, completion, dashboard, "]),
    "unknown option before the verb": ("--verson", ["unknown option '--verson'; did you mean '--version'?"]),
    "search, option": ("search --spcae x", ["unknown option '--spcae'; did you mean '--space'?"]),
    "latency, option": ("latency s --sise 32", ["unknown option '--sise'; did you mean '--size'?"]),
    "search, two options": (
        "search --trails 20 --sede=3",
        ["unknown option '--trails'; did you mean '--trials'?", "unknown option '--sede'; did you mean '--seed'?"],
    ),
    "search, an option cut short": ("search --trial 3", ["unknown option '--trial'; did you mean '--trials'?"]),
    "search, surplus": ("search extra", ["unexpected argument 'extra'; see nas-attn search --help"]),
    "search, no value": ("search --trials", ["--trials: its value is missing; see nas-attn search --help"]),
    "search, number": ("search --trials many", ["--trials: 'many' must be a whole number from 1 to 1000000"]),
    "search, no trials": ("search --trials 0", ["--trials: 0 must be a whole number from 1 to 1000000"]),
    "search, less than none": ("search --trials -3", ["--trials: -3 must be a whole number from 1 to 1000000"]),
    "search, half a trial": ("search --trials 2.5", ["--trials: 2.5 must be a whole number from 1 to 1000000"]),
    "search, share": ("search --finalists 1", ["--finalists: 1 must be a number from 0 to below 1"]),
    "search, several values": (
        "search --trials many --cost mac --device gpu --start zero",
        [
            "--trials: 'many' must be a whole number from 1 to 1000000",
            "--cost: 'mac' must be macs | parameters | latency | memory",
            "--start: 'zero' must be neutral | paper | identity",
            "--device: unknown device 'gpu'; it must be auto | cpu | cuda | cuda:N",
        ],
    ),
    "search, space": (
        "search --space unet_atention",
        ["unknown search space 'unet_atention'; did you mean 'unet_att"],
    ),
    "search, strategy": ("search --strategy tpx", ["unknown strategy 'tpx'; did you mean 'tpe'?"]),
    "search, three names": (
        "search --space unet_atention --strategy tpx --data nowhere",
        [
            "unknown strategy 'tpx'; did you mean 'tpe'?",
            "unknown search space 'unet_atention'; did you mean 'unet_attention'?",
            "--data nowhere: there is no such folder",
        ],
    ),
    "search, folder": (
        "search --data nowhere",
        ["--data nowhere: there is no such folder; give one with images/ and"],
    ),
    "search, empty folder": ("search --data empty", ["empty: the folder is empty; expected images/train, "]),
    "search, name": (
        "search --study a/b",
        ["--study: 'a/b' is not a name; use letters, digits, '_', '-' and '.'"],
    ),
    "search, ceiling": ("search --max-macs lots", ["--max-macs: 'lots' is not a ceiling; write 1.5x "]),
    "search, storage": (
        "search --storage here",
        ["--storage: no SQLAlchemy URL that can be used; write one such as"],
    ),
    "search, study file": ("search --config nowhere.yaml", ["nowhere.yaml: no such file"]),
    "search, folder as study file": ("search --config empty", ["empty: this is a folder; name a .yaml file"]),
    "search, wrong study file": (
        "search --config wrong.yaml",
        [
            "wrong.yaml: line 2: spaces: unknown field; did you mean 'space'?",
            "wrong.yaml: line 3: trials: 'many' must be a whole number from 1 to 1000000",
            "wrong.yaml: line 4: cost: 'mac' must be macs | parameters | latency | memory",
            "wrong.yaml: line 5: device: unknown device 'gpu'; it must be auto | cpu | cuda | cuda:N",
            "wrong.yaml: line 6: max_macs: 'lots' is not a ceiling; write 1.5x ",
        ],
    ),
    "search, broken study file": ("search --config broken.yaml", ["broken.yaml: line "]),
    "search, devices": (
        "search --devices cuda:0,gpu",
        ["--device: unknown device 'cuda:0,gpu'; it must be auto | cpu | cuda | cuda:N"],
    ),
    "retry, no study": ("retry", ["the following arguments are required: STUDY; see nas-attn retry --help"]),
    "retry, study": ("retry nowhere", ["there is no study 'nowhere' in studies/; known: (none)"]),
    "retry, option": ("retry s --al", ["unknown option '--al'; did you mean '--all'?"]),
    "import, no file": ("import", ["the following arguments are required: FILE; see nas-attn import --help"]),
    "import, file": ("import nowhere.json", ["nowhere.json: cannot be read: No such file or directory"]),
    "import, folder": ("import empty", ["empty: cannot be read: Is a directory"]),
    "import, another file": (
        "import file.txt",
        ["file.txt: not a rescue file of this version"],
    ),
    "import, option": ("import x --stduy y", ["unknown option '--stduy'; did you mean '--study'?"]),
    "worker, no study": ("worker", ["the following arguments are required: STUDY; see nas-attn worker --help"]),
    "worker, option": ("worker s --strage x", ["unknown option '--strage'; did you mean '--storage'?"]),
    "verdict, no study": ("verdict", ["the following arguments are required: STUDY; see nas-attn verdict --help"]),
    "verdict, study": ("verdict nowhere", ["there is no study 'nowhere' in studies/; known: (none)"]),
    "verdict, option": ("verdict nowhere --wroth 1", ["unknown option '--wroth'; did you mean '--worth'?"]),
    "verdict, number": ("verdict nowhere --worth -1", ["--worth: -1 must be a number above 0 and at most 100"]),
    "rank, no study": ("rank", ["the following arguments are required: STUDY; see nas-attn rank --help"]),
    "rank, study": ("rank nowhere", ["there is no study 'nowhere' in studies/; known: (none)"]),
    "rank, option": ("rank nowhere --jsn", ["unknown option '--jsn'; did you mean '--json'?"]),
    "rank, number": ("rank nowhere --top many", ["--top: 'many' must be a whole number"]),
    "rank, no rows": ("rank nowhere --top 0", ["--top: 0 must be a whole number of at least 1"]),
    "rank, two formats": ("rank nowhere --json --csv", ["argument --csv: not allowed with argument --json; see "]),
    "rank, nothing more": ("rank nowhere ''", ["unexpected argument ''; see nas-attn rank --help"]),
    "rank, storage": (
        "rank nowhere --storage x.db",
        ["--storage: no SQLAlchemy URL that can be used; write one such"],
    ),
    "report, no study": ("report", ["the following arguments are required: STUDY, -o/--output; see "]),
    "report, study": ("report nowhere -o r.html", ["there is no study 'nowhere' in studies/; known: (none)"]),
    "export, nothing": ("export", ["the following arguments are required: SOURCE; see "]),
    "export, no output": ("export s", ["the following arguments are required: -o/--output; see "]),
    "export, misspelt output": (
        "export s --outptu x.yaml",
        ["unknown option '--outptu'; did you mean '--output'?"],
    ),
    "verify, study": ("verify nowhere", ["there is no study 'nowhere' in studies/"]),
    "verify, option": ("verify s --seedz 3", ["unknown option '--seedz'; did you mean '--seeds'?"]),
    "verify, whole number": ("verify s --seeds many", ["--seeds: 'many' must be a whole number"]),
    "effects, study": ("effects nowhere", ["there is no study 'nowhere' in studies/"]),
    "effects, option": ("effects s --jsn", ["unknown option '--jsn'; did you mean '--json'?"]),
    "rank, value and option": (
        "rank nowhere --top many --jsn",
        ["--top: 'many' must be a whole number", "unknown option '--jsn'; did you mean '--json'?"],
    ),
    "export, study": ("export nowhere -o x.yaml", ["there is no study 'nowhere' in studies/"]),
    "export, option": ("export s -o x.yaml --pcik knee", ["unknown option '--pcik'; did you mean '--pick'?"]),
    "train, no data": (
        "train best.yaml",
        ["the following arguments are required: --data; see nas-attn train --help"],
    ),
    "train, architecture": ("train nowhere.yaml --data empty", ["nowhere.yaml: no such file; 'nas-attn export "]),
    "train, no architecture": ("train wrong.yaml --data empty", ["wrong.yaml: field 'format' is missing; an "]),
    "train, option": ("train a --data b --epcohs 3", ["unknown option '--epcohs'; did you mean '--epochs'?"]),
    "train, whole number": ("train a --data b --epochs many", ["--epochs: 'many' must be a whole number"]),
    "train, number": ("train a --data b --lr fast", ["--lr: 'fast' must be a number"]),
    "train, accelerator": (
        "train a --data b --accelerator cud",
        ["--accelerator: unknown 'cud'; did you mean 'cuda'?"],
    ),
    "train, several values": (
        "train a --data b --epochs 0 --batch-size 0",
        [
            "epochs: 0 must be a whole number of at least 1",
            "batch_size: 0 must be a whole number from 1 to 4096",
        ],
    ),
    "predict, nothing": (
        "predict",
        ["the following arguments are required: RUN, IMAGES, -o/--out"],
    ),
    "predict, architecture": (
        "predict nowhere.yaml w i -o out",
        ["nowhere.yaml: no such file; 'nas-attn export "],
    ),
    "predict, option": ("predict a w i -o out --tiel 3", ["unknown option '--tiel'; did you mean '--tile'?"]),
    "predict, no value": ("predict a w i -o", ["-o/--output: its value is missing; see nas-attn predict --help"]),
    "dashboard, no study": (
        "dashboard",
        ["the following arguments are required: STUDY; see nas-attn dashboard --help"],
    ),
    "dashboard, study": ("dashboard nowhere", ["there is no study 'nowhere' in studies/; known: (none)"]),
    "dashboard, option": ("dashboard s --prot 1", ["unknown option '--prot'; did you mean '--port'?"]),
    "dashboard, number": ("dashboard s --port many", ["--port: 'many' must be a whole number"]),
    "dashboard, port": ("dashboard s --port 65536", ["--port: 65536 must be a whole number from 0 to 65535"]),
    "completion, shell": ("completion fish", ["SHELL: unknown 'fish'; known: bash, "]),
    "studies, surplus": ("studies extra", ["unexpected argument 'extra'; see nas-attn studies --help"]),
    "studies, option": ("studies --halp", ["unknown option '--halp'; did you mean '--help'?"]),
    "spaces, name": (
        "spaces unet_atention",
        ["unknown search space 'unet_atention'; did you mean 'unet_attention'?"],
    ),
    "spaces, file": ("spaces nowhere.yaml", ["nowhere.yaml: no such file"]),
    "spaces, option": ("spaces --image-szie 3", ["unknown option '--image-szie'; did you mean '--image-size'?"]),
    "spaces, number": ("spaces unet_attention --image-size big", ["--image-size: 'big' must be a whole number"]),
    "network, word": (
        "network unet",
        ["'unet' is not a network; write my_package.my_model:make, or smp:Unet/resnet34"],
    ),
    "network, file": ("network nowhere.yaml", ["nowhere.yaml: no such file"]),
    "network, option": ("network a:b --wieghts x", ["unknown option '--wieghts'; did you mean '--weights'?"]),
    "network, number": ("network a:b --classes many", ["--classes: 'many' must be a whole number"]),
    "attentions, name": ("attentions cbm", ["unknown attention 'cbm'; did you mean 'cbam'?"]),
    "attentions, surplus": ("attentions se cbam", ["unexpected argument 'cbam'; see nas-attn attentions --help"]),
    "attentions, option": ("attentions --hlep", ["unknown option '--hlep'; did you mean '--help'?"]),
    "data, nothing": ("data", ["the following arguments are required: ACTION, FOLDER; see nas-attn data --help"]),
    "data, action": ("data chekc empty", ["ACTION: unknown 'chekc'; did you mean 'check'?"]),
    "data, no folder": ("data check", ["the following arguments are required: FOLDER; see nas-attn data --help"]),
    "data, folder": ("data check nowhere", ["nowhere: no such folder; expected images/train, "]),
    "data, empty folder": ("data check empty", ["empty: the folder is empty; expected images/train, "]),
    "data, file": ("data check file.txt", ["file.txt: is a file, not a folder; expected images/train, "]),
    "data, option": (
        "data check empty --longst-side 3",
        ["unknown option '--longst-side'; did you mean '--longest-"],
    ),
}


@pytest.mark.parametrize(("command", "problems"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_line_each(
    command: str, problems: list[str], scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.strip("'") for word in command.split()]
    before = sorted(scratch.rglob("*"))
    status, out, err = said(capsys, *words)
    assert status == 2
    assert out == ""
    lines = err.splitlines()
    assert all(re.match(r"nas-attn( \w+)?: error: ", line) for line in lines), err
    assert len(lines) == len(problems), err
    for line, problem in zip(lines, problems, strict=True):
        assert problem in line
    assert sorted(scratch.rglob("*")) == before


def test_every_verb_has_its_mistakes_tried() -> None:
    assert {command.split()[0] for command, _ in MISTAKES.values()} >= set(VERBS)


def test_a_study_that_is_no_database_is_named_and_left_alone(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scratch / "studies" / "nuclei" / "study.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database, and long enough to be taken for one" * 40)
    before = path.read_bytes()
    for words in (["rank", "nuclei"], ["export", "nuclei", "-o", "x.yaml"], ["dashboard", "nuclei"]):
        status, out, err = said(capsys, *words)
        assert (status, out) == (2, "")
        assert re.fullmatch(r"nas-attn: error: studies/nuclei/study\.db: .*\n", err)
    assert path.read_bytes() == before
    assert said(capsys, "rank", "nucli")[2].endswith("did you mean 'nuclei'?\n")


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys)
    assert (status, err) == (0, "")
    assert [verb for verb in VERBS if re.search(rf"(?m)^  {verb} +{re.escape(VERBS[verb])}$", out)] == list(VERBS)
    assert said(capsys, "--help") == (0, out, "")


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"nas-attn {__version__}\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, verb, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: nas-attn {verb} ")
    described = importlib.import_module(f"nas_attn.cli.{verb}").__doc__ or ""
    assert described.strip() in out


def test_help_of_every_verb_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from nas_attn.cli.main import VERBS, main\n"
        "for words in ([], ['--help'], ['--version'], *([verb, '--help'] for verb in VERBS)):\n"
        "    try:\n"
        "        main(words)\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, words\n"
        f"    print(words, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ended.stderr.splitlines()
    assert len(lines) == len(VERBS) + 3
    assert [line for line in lines if not line.endswith("[]")] == []


def test_the_program_is_also_a_module() -> None:
    ended = subprocess.run([sys.executable, "-m", "nas_attn", "rnak"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "nas-attn: error: unknown verb 'rnak'; did you mean 'rank'?\n"


def test_every_problem_of_an_error_has_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise StudyError(["one", "two"])

    monkeypatch.setattr("nas_attn.cli.studies.run", fail)
    assert said(capsys, "studies") == (2, "", "nas-attn: error: one\nnas-attn: error: two\n")


def test_what_is_no_mistake_of_the_user_is_a_bug_and_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("nas_attn.cli.studies.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["studies"])


def test_interruption_ends_with_the_shells_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas_attn.cli.studies.run", interrupted)
    assert said(capsys, "studies") == (130, "", "nas-attn: interrupted\n")
