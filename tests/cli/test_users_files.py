"""Whatever lies where, no command changes or deletes a file that is not its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.cli.main import VERBS, main
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.rescue import Rescued, write_rescued

TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "2", "--device", "cpu", "--workers", "1", "--precision", "float32", "--trials", "3"),
)


def make_data(folder: Path) -> Path:
    """A sound data set of three images in each split."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(3):
            for part, top in (("images", 256), ("masks", 2)):
                path = folder / part / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, top, (16, 16)).astype(np.uint8)).save(path)
    (folder / "dataset.yaml").write_text("classes: [background, cell]\n")
    return folder


def test_data_that_are_the_studys_folder_are_refused_and_stay(here, refused, contents):
    make_data(Path("studies/mine"))
    before = contents(here)
    (line,) = refused("search", *TINY, "--data", "studies/mine", "--study", "mine")

    assert line.startswith("--data studies/mine: is the study's folder, studies/mine; keep the two apart: ")
    assert contents(here) == before


def test_data_that_the_studys_folder_links_to_are_refused_and_stay(here, refused, contents):
    make_data(Path("data"))
    Path("studies").mkdir()
    Path("studies/nuclei").symlink_to(here / "data")
    before = contents(here)
    (line,) = refused("search", *TINY, "--data", "data", "--study", "nuclei")

    assert line.startswith("--data data: is the study's folder, studies/nuclei (which is ")
    assert contents(here) == before


def test_data_of_the_studys_name_that_hold_its_study_file_stay(here, contents):
    """As they lie in the current folder, their name is a path, too."""
    make_data(Path("nuclei"))
    assert main(["search", *TINY, "--data", "nuclei", "--study", "nuclei"]) == 0
    shutil.copy("studies/nuclei/study.yaml", "nuclei")
    before = contents(here / "nuclei")
    assert main(["report", "nuclei", "-o", "page.html"]) == 0

    assert contents(here / "nuclei") == before


def test_pictures_in_the_studys_folder_stay(here, contents):
    """Where an earlier version kept its own."""
    make_data(Path("data"))
    Path("studies/nuclei").mkdir(parents=True)
    shutil.copytree("data/images", "studies/nuclei/images")
    before = contents(here / "studies" / "nuclei" / "images")
    for study in ("nuclei", "nuclei"):
        assert main(["search", *TINY, "--data", "data", "--study", study]) == 0
    assert main(["verify", "nuclei", "--seeds", "2", "--workers", "1"]) == 0

    assert contents(here / "studies" / "nuclei" / "images") == before


@pytest.mark.parametrize("command", ["worker", "verify"])
def test_who_joins_a_study_from_within_its_data_is_refused(command, here, refused, contents):
    make_data(Path("data"))
    assert main(["search", *TINY, "--data", "data", "--study", "nuclei"]) == 0
    shutil.copytree("data", "studies/nuclei/copy")
    before = contents(here)
    (line,) = refused(command, "nuclei", "--data", "studies/nuclei/copy")

    assert line.startswith("--data studies/nuclei/copy: lies in the study's folder, ")
    assert contents(here) == before


def test_a_study_is_not_imported_into_its_data(here, refused, contents):
    make_data(Path("data"))
    assert main(["search", *TINY, "--data", "data", "--study", "mine"]) == 0
    rescue()
    shutil.rmtree("studies/mine")
    Path("studies/mine").symlink_to(here / "data")
    before = contents(here)
    (line,) = refused("import", "rescued.json")

    assert line.startswith(f"--data {here / 'data'}: is the study's folder, studies/mine (which is ")
    assert contents(here) == before


def test_a_storage_that_is_none_is_refused_by_an_import(here, refused, contents):
    assert main(["search", *TINY, "--study", "mine"]) == 0
    rescue()
    before = contents(here)
    (line,) = refused("import", "rescued.json", "--storage", "mysqlite:/x")

    assert line.startswith("--storage: no SQLAlchemy URL that can be used; ")
    assert contents(here) == before


OURS = (
    *("study.yaml", "best.yaml", "panels.json", "lock", "panels/0-worst-0.png", "packed-images/0.npy"),
    *("logs/search.log", "run.json"),
)
"""Names of files that commands write; the user's data have files of the same names."""
USERS = ("notes/legend.png", "kept/masks/0.png", "best.safetensors", "studies/mine/notes.txt", "runs/a")
"""Files of the user where commands write."""


def beside() -> str:
    """Data next to the studies."""
    return str(make_data(Path("data")))


def named_alike() -> str:
    """Data in the current folder that bear the study's name."""
    return str(make_data(Path("mine")))


def linked_from() -> str:
    """Pictures of the data in the study's folder, by a link where earlier versions had their cache."""
    make_data(Path("data"))
    Path("studies/mine").mkdir(parents=True)
    Path("studies/mine/images").symlink_to(Path("data/images").resolve())
    Path("studies/mine/masks").symlink_to(Path("data/masks").resolve())
    return "data"


def linked_to() -> str:
    """Data by a link of the study's name."""
    make_data(Path("data"))
    Path("mine").symlink_to("data")
    return "mine"


def is_the_study() -> str:
    """Data that lie where the study would."""
    return str(make_data(Path("studies/mine")))


def inside() -> str:
    """Data in the folder where the study would lie."""
    return str(make_data(Path("studies/mine/data")))


def study_is_a_link() -> str:
    """The study's folder is a link to the data."""
    make_data(Path("data"))
    Path("studies").mkdir()
    Path("studies/mine").symlink_to(Path("data").resolve())
    return "data"


def around() -> str:
    """The current folder is the data."""
    make_data(Path())
    return "."


def with_decoys(data: str) -> None:
    """Files of the user that are called like some of ours, in the data and wherever a command writes."""
    for path in (*(Path(data, name) for name in OURS), *map(Path, USERS)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine: " + bytes(path))


def users_files(folder: Path) -> dict[str, object]:
    """What every file holds, and where every link leads."""
    return {
        str(path): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def changed(before: dict[str, object], folder: Path) -> list[str]:
    now = users_files(folder)
    return [name for name, content in before.items() if now.get(name) != content]


RUN, RESCUED = "runs/best-run", "import rescued.json"
WALK = (
    "data check {data}",
    "search --data {data} --study mine",
    "search --data {data} --study mine --trials 4",
    "worker mine",
    "worker mine --data {data}",
    "verdict mine",
    "rank mine",
    "effects mine",
    "latency mine",
    "retry mine",
    RESCUED,
    "verify mine --seeds 2 --workers 1",
    "report mine -o page.html",
    "report mine -o page.html --no-panels",
    "export mine -o picked.yaml",
    "export mine --pick knee -o picked.md",
    f"train picked.yaml --data {{data}} --epochs 1 --batch-size 3 --accelerator cpu -o {RUN}",
    f"export {RUN} -o picked.py",
    f"predict {RUN}/architecture.yaml {RUN}/weights.safetensors {{data}}/images/test -o shown --accelerator cpu",
    "dashboard mine --port 0",
    "studies",
    "spaces",
    "spaces unet_attention_small",
    "attentions",
    "attentions se",
    "network nas_attn.models.unet.unet:UNet",
)
REFUSED = (
    f"export {RUN} -o best.py",
    f"predict {RUN}/architecture.yaml {RUN}/weights.safetensors {{data}}/images/test -o notes --accelerator cpu",
    f"predict {RUN}/architecture.yaml {RUN}/weights.safetensors {{data}}/images/test -o kept --accelerator cpu",
    "train picked.yaml --data {data} -o {data} --accelerator cpu",
    "search --data {data} --study mine --storage sqlite:///other.db",
    "search --data {data}/images --study mine",
    f"{RESCUED} --storage sqlite:///other.db",
)
"""What would have to write over files that it did not write, or change a study."""


def rescue() -> None:
    """What a search leaves that has lost its database, if there is a study."""
    if StudyFolder.of("mine").has_database:
        ledger = open_study("mine")
        known = Rescued("mine", ledger.identity, ledger.context, ledger.plan, ledger.records())
        write_rescued(known, Path()).rename("rescued.json")


def words_of(line: str, data: str) -> list[str]:
    words = line.format(data=data).split()
    return [words[0], *TINY, *words[1:]] if words[0] == "search" else words


@pytest.fixture
def walk(here, monkeypatch, capsys):
    """Run a command; gives its status and the lines of its errors."""
    from nas_attn.cli import dashboard

    def end(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(dashboard._Server, "serve_forever", end)

    def run(line, data):
        if line == RESCUED:
            rescue()
        status = main(words_of(line, data))
        errors = capsys.readouterr().err.splitlines()
        assert not any("Traceback" in error for error in errors), errors
        return status, [error for error in errors if error.startswith("nas-attn: error: ")]

    return run


def test_the_walk_goes_along_every_verb():
    assert {line.split()[0] for line in WALK} == set(VERBS) - {"completion"}  # it only prints


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "layout",
    [named_alike, *(pytest.param(one, marks=pytest.mark.slow) for one in (beside, linked_from, linked_to))],
)
def test_no_verb_changes_a_file_of_the_user(layout, here, walk):
    data = layout()
    with_decoys(data)
    before = users_files(here)
    for line in WALK:
        assert walk(line, data) == (0, []), line
        assert changed(before, here) == [], line
    made = users_files(here)
    for line in REFUSED:
        status, errors = walk(line, data)
        assert status == 2, line
        assert errors, line
        assert changed(before, here) == [], line
        assert [name for name in changed(made, here) if ".db" not in name] == [], line


@pytest.mark.parametrize("layout", [is_the_study, inside, study_is_a_link, around])
def test_where_data_and_study_contain_one_another_every_verb_leaves_all_as_it_is(layout, here, walk):
    data = layout()
    with_decoys(data)
    before = users_files(here)
    for line in ("search --data {data} --study mine", "search --data {data} --study mine --as-new"):
        status, errors = walk(line, data)
        assert (status, len(errors)) == (2, 1), line
        assert "keep the two apart" in errors[0], line
    for line in WALK:
        status, errors = walk(line, data)
        assert status == 2 or line.split()[0] in ("data", "studies", "spaces", "attentions", "network"), line
        assert len(errors) == (status == 2), line
    assert users_files(here) == before, "nothing was written, not even beside them"
