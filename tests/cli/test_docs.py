"""What the documents say is true of the program."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import json
import re
import shlex
import subprocess
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import nas_attn
from nas_attn.analysis import rank, ranking_json
from nas_attn.architecture import read_architecture
from nas_attn.budget import Budget
from nas_attn.cli.attentions import SHALLOW
from nas_attn.cli.main import VERBS, OneLineParser, main
from nas_attn.config.settings import StudyRequest
from nas_attn.data import IGNORED, Dataset
from nas_attn.data.declaration import declared_by, read_declaration
from nas_attn.data.readers import READERS
from nas_attn.errors import DataError
from nas_attn.models.attention import build_attention
from nas_attn.models.catalogue import KINDS, catalogue
from nas_attn.models.placement import Stage
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy import STRATEGIES, Question
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.study.setup.study_file import read_study_file
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator
from nas_attn.training.full import architecture_id
from nas_attn.training.full.weights import WeightsInfo, write_weights
from nas_attn.training.metrics import count_macs, count_parameters

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
DOCS = "\n".join([README, *PAGES.values()])
"""What users read."""
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STUDY_FILES = sorted((ROOT / "studies").glob("*.yaml"))
SPACE_FILES = sorted((ROOT / "search_spaces").glob("*.yaml"))
TWO_COMMANDS = [
    "pip install -e . && nas-attn search --space unet_attention --trials 200",
    "pip install -e '.[test]' && pytest",
]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def block(text: str, first_line: str) -> str:
    """The fenced block that begins so."""
    (found,) = [code for code in re.findall(r"(?ms)^```\w+\n(.*?)^```$", text) if code.startswith(first_line)]
    return found


def commands(text: str) -> list[str]:
    """Every complete nas-attn command of a document: in its blocks of commands, and in indented lines."""
    lines = [line for code in blocks(text, "bash") for line in code.splitlines()]
    lines += re.findall(r"(?m)^    (\S.*)$", text)
    parts = [part.strip() for line in lines for part in re.split(r"&&|>", line)]
    return [part for part in parts if part.startswith("nas-attn ")]


def first_comment(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def parser_of(verb: str) -> OneLineParser:
    module = importlib.import_module(f"nas_attn.cli.{verb}")
    parser = OneLineParser(prog=f"nas-attn {verb}", allow_abbrev=False)
    module.add_arguments(parser)
    return parser


def test_readme_begins_with_the_two_commands() -> None:
    assert re.findall(r"(?m)^    (\S.*)$", README)[:2] == TWO_COMMANDS
    assert len(README.splitlines()) <= 170, "the rest belongs to docs"


def test_the_check_of_everything_runs_the_command_of_the_readme_without_any_other_package() -> None:
    """Then, in a copy with the others, what was skipped without them, so that every test has run."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    (taken,) = (line for line in script if line.startswith("command="))
    parts = [line.removeprefix("bash -xc ") for line in script if line.startswith("bash ")]
    shown = subprocess.run(
        ["bash", "-c", "\n".join([taken, *(f"echo {part}" for part in parts)])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert " && ".join(line.strip() for line in shown.splitlines()) == TWO_COMMANDS[1]
    assert "set -euo pipefail" in script
    order = [
        'enter "$fresh"',
        *(f"bash -xc {part}" for part in parts),
        '[ "$checked" = 0 ] || exit "$checked"',
        'enter "$all"',
        "pytest --last-skipped -rs",
    ]
    assert [line for line in script if line in order] == order
    assert script[-1] == order[-1]
    (install,) = re.findall(r"(?ms)^install_all\(\).*?^}$", "\n".join(script))
    assert install.index('enter "$all"') < install.index("pip install")
    assert not [line for line in script if line.startswith("pip install")]


def test_the_check_of_everything_has_all_packages_that_tests_are_skipped_without() -> None:
    """But Ray, for which there are tests of minutes only."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (installed,) = re.findall(r"(?m)^ +python - (test .*) > ", script)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    packages = {package for extra in installed.split() for package in extras[extra]}
    packages.update(re.findall(r"(?m)^ +pip install -qq --no-deps '(.*?)'", script))
    assert {package for extra in extras for package in extras[extra]} - packages == {*extras["ray"]}


@pytest.mark.parametrize(
    "command",
    dict.fromkeys([*commands(DOCS), *commands(CONTRIBUTING), *map(first_comment, (*STUDY_FILES, *SPACE_FILES))]),
)
def test_every_command_of_the_documents_can_be_read(command: str) -> None:
    program, verb, *words = shlex.split(command)
    assert program == "nas-attn"
    assert verb in VERBS
    parser_of(verb).parse_args(words)


def test_commands_are_found_at_all() -> None:
    assert {command.split()[1] for command in commands(DOCS)} == set(VERBS)


@pytest.mark.parametrize("text", [DOCS, CONTRIBUTING], ids=["docs", "CONTRIBUTING"])
def test_verbs_and_flags_within_sentences_exist(text: str) -> None:
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    flags = {flag for verb in VERBS for flag in parser_of(verb)._option_string_actions}
    for code in re.findall(r"`([^`\n]+)`", prose):
        words = code.split()
        if words[0] == "nas-attn":
            assert words[1] in VERBS
            assert {word for word in words if word.startswith("--")} <= set(
                parser_of(words[1])._option_string_actions
            )
        elif words[0].startswith("--"):
            assert words[0] in flags


WRITTEN = {"README": README, "CONTRIBUTING": CONTRIBUTING, **PAGES}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_that_are_named_exist(name: str) -> None:
    text = WRITTEN[name]
    folder = ROOT / "docs" if name in PAGES else ROOT
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    named = set(re.findall(r"`((?:nas_attn|tests|studies|search_spaces|\.ci)/[\w./]+)`", prose))
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^):]+)\)", prose)} - {""}
    assert all((folder / path).exists() for path in linked), linked
    to_come = {path for path in named if re.search(r"NAME|STUDY|simam|nearby|discs", path)}
    for path in named - to_come - {"studies/nuclei/study.db"}:
        assert (ROOT / path).exists(), path


def test_readme_shows_every_field_of_a_study_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(block(DOCS, "# studies/mine.yaml"), encoding="utf-8")
    written = read_study_file(path)
    assert set(written) == {field.name for field in fields(StudyRequest)} - {"storage", "max_macs"}
    StudyRequest(**written)


def test_readme_shows_a_search_space_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "my_space.yaml"
    path.write_text(block(DOCS, "# my_space.yaml"), encoding="utf-8")
    space = read_space(path, catalogue())
    assert space.size == 3**3 * 3 * 3
    assert space.limits.max_positions == 1024
    assert str(space.limits.max_macs) == "1.5x"


def test_readme_shows_a_declaration_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(block(DOCS, "# dataset.yaml"), encoding="utf-8")
    declaration, problems, notes = read_declaration(tmp_path)
    assert (problems, notes) == ([], [])
    assert declaration.classes == ("background", "nucleus")
    assert all(getattr(declaration, field.name) is not None for field in fields(declaration))


def test_every_row_of_readme_on_data_names_fields_that_there_are() -> None:
    """Each piece of code in the right column is a text that ``dataset.yaml`` may hold."""
    table = PAGES["your-data"].split("| what you have |")[1].split("\n\n")[0]
    pieces = [
        piece
        for row in table.splitlines()[2:]
        for piece in re.findall(r"`([^`]+: [^`]+)`", row.rpartition(" | ")[2])
    ]
    assert len(pieces) > 20
    for piece in pieces:
        needed = {
            "color_tolerance": "mask_colors: {a: [0, 0, 0], b: [1, 1, 1]}\n",
            "multi_label": "classes: [a, b]\n",
        }
        beside = "multi_label: true\n" if "masks: {disc" in piece else needed.get(piece.partition(":")[0], "")
        _, problems, _ = declared_by(beside + piece)
        assert problems == [], piece


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder in which a search is answered from a lookup table, and a training has been done."""

    def pool(evaluators: list[object], logs: object, **_: object) -> contextlib.AbstractContextManager[InlinePool]:
        network = evaluators[0].network  # type: ignore[attr-defined]
        space = read_space("unet_attention_small", catalogue(), base_channels=network.base_channels, image_size=32)
        return contextlib.nullcontext(InlinePool(LookupEvaluator(space)))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas_attn.study.study_pool.ProcessPool", pool)
    few_images = replace(CPU_SYNTHETIC, n_train=4, n_val=4)
    monkeypatch.setattr("nas_attn.study.setup.resolve.preset_for", lambda device, data, **_: few_images)
    return tmp_path


def test_python_examples_of_the_docs_run(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inserting,) = blocks(PAGES["your-network"], "python")
    reading, searching, loading, opening, in_memory = blocks(PAGES["python"], "python")
    assert "nas_attn.insert(" in inserting  # tests/test_your_network.py has a network to run it with
    names: dict[str, object] = {"__name__": "__main__"}
    exec(reading, names)
    assert "may be tried" in capsys.readouterr().out
    exec(searching, names)
    verdict, *rows = capsys.readouterr().out.splitlines()
    assert "baseline" in verdict
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    run = scratch / "runs" / "best-nuclei"
    run.mkdir(parents=True)
    best = scratch / "studies" / "first" / "best.yaml"
    (run / "architecture.yaml").write_bytes(best.read_bytes())
    architecture = read_architecture(best, catalogue())
    info = WeightsInfo(
        architecture_id(architecture), "", architecture.classes, architecture.mean, architecture.std,
        bits=8, longest_side=None, data="", seed=0, epoch=1, val_iou=0.5, version="",
    )  # fmt: skip
    write_weights(run / "weights.safetensors", nas_attn.load(best), info)
    exec(loading, names)
    assert names["logits"].shape[2:] == (64, 64)  # type: ignore[attr-defined]
    assert "best.safetensors" in capsys.readouterr().out
    exec(opening, names)
    assert "<study 'first': 24 trials" in capsys.readouterr().out
    assert (scratch / "first.yaml").is_file()
    assert "data=(images, masks)" in in_memory  # tests/test_opened.py has some to run it with


def test_readme_lists_the_kinds_with_their_papers_places_and_costs() -> None:
    rows = [
        line.strip("| ").split("|") for line in re.findall(r"(?m)^\| (?!kind|preset|---).*\|$", PAGES["kinds"])
    ]
    table = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows if cells[0].strip() in KINDS}
    assert list(table)[:8] == ["none", "se", "eca", "cbam", "scse", "ca", "gate", "pam"]
    assert len(table) >= 39  # one that is added may have its row later
    for name, (title, paper, where, parameters, macs, _) in table.items():
        kind = catalogue()[name]
        assert (title, paper) == (kind.title, kind.paper)
        assert where == ("anywhere" if set(kind.stages) == set(Stage) else ", ".join(map(str, kind.stages)))
        assert (int(parameters.replace(",", "")), int(macs.replace(",", ""))) == SHALLOW.cost(kind)


def test_readme_lists_the_costs_that_the_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attentions"]) == 0
    listed = capsys.readouterr().out
    assert f"C={SHALLOW.channels} on {SHALLOW.side}x{SHALLOW.side}" in listed
    found = re.findall(r"(?m)^\| (\w+) \|.*\| ([\d,]+) \| [\d,]+ \| .*\|$", PAGES["kinds"])
    assert len(found) >= 39
    for name, parameters in found:
        assert re.search(rf"(?m)^ {name} .* {parameters} ", listed), name


def test_readme_names_the_keys_of_the_json() -> None:
    space = read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)
    budget = Budget(100, 32, 8)
    outcome = LookupEvaluator(space)(space.plain, budget, 0)
    record = TrialRecord(0, space.plain, budget, 0, Role.REFERENCE, State.COMPLETE, "plain", outcome)
    (row,) = json.loads(ranking_json(rank([record])))
    sentence = re.search(r"(?s)The JSON is a list.*?;", DOCS)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[0]) == list(row)


def test_readme_names_every_space_that_is_shipped() -> None:
    assert {path.stem for path in SPACE_FILES} <= set(re.findall(r"`(\w+)`", PAGES["search-spaces"]))


SETS = {"nuclei": "dsb2018_nuclei", "nerves": "usgra_nerves", "coffee_leaf": "lara_coffee_leaf"}


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_every_example_study_can_be_read_and_is_named_after_its_file(path: Path) -> None:
    request = StudyRequest(**read_study_file(path))
    assert request.study == path.stem
    assert first_comment(path) == f"nas-attn search --config studies/{path.name}"
    assert request.data == (f"../shared/data/full/{SETS[path.stem]}" if path.stem in SETS else "synthetic")
    assert path.stem not in SETS or "Licence of the data:" in path.read_text(encoding="utf-8")


def test_there_is_an_example_study_for_each_set_and_a_quick_one() -> None:
    assert {path.stem for path in STUDY_FILES} == {"quick", *SETS}


@pytest.mark.parametrize("name", sorted(SETS))
def test_an_example_study_fits_its_data(name: str, shared_data: Path) -> None:
    written = read_study_file(ROOT / "studies" / f"{name}.yaml")
    folder = shared_data / "mini" / SETS[name]
    resolved = resolve(StudyRequest(**{**written, "data": str(folder), "device": "cpu"}))
    declared = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    network = resolved.settings.space.network
    assert (network.in_channels, network.classes) == (declared["in_channels"], len(declared["classes"]))
    assert resolved.settings.trials == 60


@pytest.fixture
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries that forget the examples afterwards, and that do not know them yet."""
    for registry, name in ((KINDS, "simam"), (STRATEGIES, "nearby"), (READERS, "discs")):
        known = {entry: registry[entry] for entry in registry if entry != name}
        monkeypatch.setattr(registry, "_entries", known)


@pytest.mark.usefixtures("own_registries")
def test_the_attention_of_contributing_follows_the_equation_of_its_docstring() -> None:
    exec(block(CONTRIBUTING, "# nas_attn/models/attention/simam.py"), {"__name__": "simam"})
    spec = catalogue()["simam"].spec({"regulariser": 0.1})
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    expected = torch.empty_like(x)
    for image in range(2):
        for channel in range(3):
            plane = x[image, channel]
            distance = (plane - plane.mean()) ** 2
            weights = 1 / (1 + torch.exp(-(distance / (4 * (plane.var() + 0.1)) + 0.5)))
            expected[image, channel] = plane * weights
    module = build_attention(spec, 3)
    torch.testing.assert_close(module(x), expected)
    assert (count_parameters(module), count_macs(module, (1, 3, 5, 4))) == (0, 0)
    assert module(torch.ones(1, 3, 1, 1)).isfinite().all()


@pytest.fixture(scope="module")
def small_space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


@pytest.mark.usefixtures("own_registries")
def test_the_strategy_of_contributing_takes_one_step_from_the_best(small_space: SearchSpace) -> None:
    exec(block(CONTRIBUTING, "# nas_attn/strategy/samplers/nearby.py"), {"__name__": "nearby"})
    evaluator, budget = LookupEvaluator(small_space), Budget(3000, 32, 8)
    records: list[TrialRecord] = []
    for number in range(20):
        question = Question(
            small_space, tuple(records), (), number, 0, lambda _: 1.0, "macs", lambda placement: True
        )
        proposal = STRATEGIES["nearby"](question)
        assert proposal is not None
        assert proposal.placement not in [record.placement for record in records]
        if records:
            best = max(records, key=lambda record: record.outcome.score.iou if record.outcome else 0.0)
            changed = [place for place, spec in proposal.placement if spec != best.placement[place]]
            assert len(changed) == 1 or number > 10  # near the end all neighbours may be known
        outcome = evaluator(proposal.placement, budget, 0)
        records.append(
            TrialRecord(number, proposal.placement, budget, 0, Role.PROPOSAL, State.COMPLETE, outcome=outcome)
        )


@pytest.mark.usefixtures("own_registries")
def test_the_data_set_of_contributing_is_one() -> None:
    names: dict[str, object] = {"__name__": "discs"}
    exec(block(CONTRIBUTING, "# nas_attn/data/discs.py"), names)
    make = names["discs"]
    first, again, other = (make(seed, image_size=32, n_train=4) for seed in ("", "0", "1"))  # type: ignore[operator]
    assert isinstance(first, Dataset)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.train.pixels.shape == (4, 1, 32, 32)
    assert set(first.train.masks.unique().tolist()) <= {0, 1, IGNORED}
    with pytest.raises(DataError, match=r"^discs=-1: is not a seed; give a whole number"):
        make("-1")  # type: ignore[operator]
    disc, ground = (
        first.train.pixels[:, 0][first.train.masks == 1],
        first.train.pixels[:, 0][first.train.masks == 0],
    )
    assert disc.float().mean() > ground.float().mean() + 40


@pytest.mark.parametrize(
    "module",
    sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "nas_attn").rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    ),
)
def test_examples_in_docstrings_are_true(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed
