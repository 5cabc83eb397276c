"""A package of a user's own adds an attention, a strategy and a data reader, and touches nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nas_attn import reference, registry
from nas_attn.errors import RegistryError
from nas_attn.registry import Origin, Registry
from nas_attn.study.setup.find import open_study

ROOT = Path(__file__).parents[1]

ATTENTION = '''
"""Half of a module lies in another file of the package, named relative to this one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.extend import AttentionKind, Option, attention

from .swing import HALF, swing

KIND = AttentionKind(
    name="mine",
    title="swinging attention",
    paper="unpublished",
    options=(Option("amount", HALF, "of the swing", minimum=0),),
)


@attention(KIND)
class MyAttention(nn.Module):
    """Swing each position up or down.

    Args:
        channels: C of the input.
        amount: of the swing.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, amount: float = HALF) -> None:
        super().__init__()
        self.amount = amount
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x * swing(x * self.weight, self.amount)
'''

SWING = '''
import torch
from torch import Tensor

HALF = 0.5


def swing(x: Tensor, amount: float) -> Tensor:
    """From 0 to 2, 1 at 0."""
    return 2 * torch.sigmoid(amount * x)
'''

STRATEGY = """
from __future__ import annotations

from nas_attn.extend import Proposal, Question, generator, nearest_new, newness, strategy


@strategy("anywhere")
def propose(question: Question) -> Proposal | None:
    draws = generator(question)
    placement = nearest_new(question, newness(question), question.space.sample(draws), draws)
    return None if placement is None else Proposal(placement)
"""

READER = '''
import torch

from nas_attn.extend import Dataset, assemble, pack, reader


@reader("squares")
def read(place: str) -> Dataset:
    """Bright squares; the place says how large."""
    draws = torch.Generator().manual_seed(0)

    def split(name: str, count: int):
        images = [torch.randint(0, 99, (1, 32, 32), generator=draws, dtype=torch.uint8) for _ in range(count)]
        masks = [torch.zeros(32, 32, dtype=torch.uint8) for _ in range(count)]
        for index, (image, mask) in enumerate(zip(images, masks)):
            mask[index : index + int(place), 4:20] = 1
            image[0][mask == 1] += 99
        return pack(images, masks, [f"{name}-{index}" for index in range(count)])

    return assemble("squares", ("ground", "square"), split("train", 8), split("val", 4), split("test", 4))
'''

ENTRY_POINTS = """
[nas_attn.attentions]
mine = my_package.my_module:MyAttention

[nas_attn.strategies]
anywhere = my_package.my_strategy:propose

[nas_attn.readers]
squares = my_package.my_reader:read
"""

SPACE = """
version: 1
name: own
network: {family: unet, depth: 2, base_channels: 4, image_size: 32}
choices:
  skip: [none, mine, {kind: mine, amount: 2.0}]
  bottleneck: [none, my_package.my_module:MyAttention, {kind: my_package.my_module:MyAttention, amount: 1.5}]
"""


@dataclass(frozen=True)
class Home:
    """A folder with an installed package of a user's.

    Args:
        path: of the folder, in which commands are run.
        packages: where the package is installed.
    """

    path: Path
    packages: Path

    def run(self, *words: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
        """A command as its script runs it, which does not import from the current folder."""
        code = "import sys; from nas_attn.cli.main import main; sys.exit(main())"
        paths = [str(ROOT), *([str(self.packages)] if installed else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-P", "-c", code, *words],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    path = tmp_path_factory.mktemp("home")
    packages = path / "site-packages"
    package, info = packages / "my_package", packages / "my_package-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    files = {
        "__init__": "",
        "my_module": ATTENTION,
        "swing": SWING,
        "my_strategy": STRATEGY,
        "my_reader": READER,
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (path / "space.yaml").write_text(SPACE)
    return Home(path, packages)


SEARCH = (
    *("search", "--space", "space.yaml", "--data", "squares=12", "--strategy", "anywhere", "--trials", "8"),
    *("--steps", "2", "--image-size", "32", "--base-channels", "4", "--batch-size", "2", "--study", "own"),
    *("--device", "cpu", "--workers", "1", "--precision", "float32"),
)


@pytest.fixture(scope="module")
def searched(home: Home) -> subprocess.CompletedProcess[str]:
    """A search with a worker process."""
    return home.run(*SEARCH)


def test_a_search_takes_all_three_and_its_worker_processes_find_them(
    home: Home, searched: subprocess.CompletedProcess[str]
) -> None:
    assert searched.returncode == 0, searched.stderr
    records = open_study(str(home.path / "studies" / "own")).records()
    assert [str(record.state) for record in records] == ["complete"] * len(records)
    kinds = {spec.kind for record in records for _, spec in record.placement}
    assert kinds == {"none", "mine", "my_package.my_module:MyAttention"}


@pytest.mark.usefixtures("searched")
def test_the_study_knows_where_they_came_from(home: Home) -> None:
    ledger = open_study(str(home.path / "studies" / "own"))
    assert ledger.identity["outside"] == {
        "attention mine": "my_package.my_module:MyAttention",
        "attention my_package.my_module:MyAttention": "my_package.my_module:MyAttention",
        "data reader squares": "my_package.my_reader:read",
        "strategy anywhere": "my_package.my_strategy:propose",
    }
    assert ledger.identity["data"] == "squares"


@pytest.mark.usefixtures("searched")
def test_the_same_study_goes_on_by_its_own_file(home: Home) -> None:
    again = home.run("search", "--config", "studies/own/study.yaml", "--trials", "9")
    assert again.returncode == 0, again.stderr
    assert "9/9 trials" in again.stdout + again.stderr


@pytest.mark.usefixtures("searched")
def test_it_is_exported_as_a_python_file_that_needs_neither_package(home: Home) -> None:
    done = home.run("export", "own", "--pick", "first", "--format", "yaml,python", "-o", "first")
    assert done.returncode == 0, done.stderr
    assert "first.py: equal to the bit" in done.stdout
    code = (
        "import sys, torch; sys.path.insert(0, '.'); import first;"
        "print(*first.build()(torch.zeros(1, 1, 32, 32)).shape);"
        "sys.exit('nas_attn' in sys.modules or 'my_package' in sys.modules)"
    )
    alone = subprocess.run([sys.executable, "-P", "-c", code], cwd=home.path, capture_output=True, text=True)
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "1 2 32 32\n", "")


def test_attentions_lists_it_with_its_origin(home: Home) -> None:
    done = home.run("attentions")
    assert "mine comes from my_package.my_module:MyAttention of my-package 1.0." in done.stdout
    shown = home.run("attentions", "mine").stdout
    assert "Swing each position up or down." in shown
    assert "Comes from my_package.my_module:MyAttention of my-package 1.0" in shown


def test_a_module_that_only_a_file_names_is_named_on_the_console(
    home: Home, searched: subprocess.CompletedProcess[str]
) -> None:
    named = "nas-attn: imports the module my_package.my_module for the attention my_package.my_module:MyAttention"
    assert searched.stderr.count(named) == 1
    assert "my_strategy" not in searched.stderr  # its package was installed to be used


def test_a_file_beside_a_space_is_never_run(home: Home, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("open('was-run', 'w')\n")
    (tmp_path / "space.yaml").write_text(SPACE.replace("my_package.my_module", "beside"))
    done = Home(tmp_path, home.packages).run("spaces", "space.yaml")
    assert done.returncode == 2
    assert "attention 'beside:MyAttention': there is no module 'beside'; install the package" in done.stderr
    assert not (tmp_path / "was-run").exists()


def test_without_the_package_every_problem_is_one_line(home: Home, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    done = Home(tmp_path, home.packages).run(*SEARCH, installed=False)
    assert done.returncode == 2
    told = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert any("unknown strategy 'anywhere'; known: additive" in line for line in told)
    assert any("space.yaml: line 6: choices.skip: unknown attention 'mine'" in line for line in told)
    assert any("line 7" in line and "there is no module 'my_package'" in line for line in told)
    assert any("--data squares=12: there is no such folder" in line for line in told)


Install = Callable[..., Registry[int]]


class Fruit:
    """Something that is registered."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a user's package with one module and some entry points; gives a registry that may find them."""
    fruits: Registry[object] = Registry(f"fruits{tmp_path.name}", "fruit", "test.fruits")
    monkeypatch.setattr("nas_attn.registry.FRUITS", fruits, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(module: str, *points: str, package: str = "users") -> Registry[object]:
        own = tmp_path / f"fruits{tmp_path.name}"
        own.mkdir(exist_ok=True)
        (own / "__init__.py").write_text("")
        (own / "apple.py").write_text("from nas_attn.registry import FRUITS\nFRUITS.add('apple', 'ours')\n")
        (tmp_path / f"{package}_{tmp_path.name}.py").write_text(textwrap.dedent(module))
        info = tmp_path / f"{package}-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
        lines = [point.replace("MODULE", f"{package}_{tmp_path.name}") for point in points]
        (info / "entry_points.txt").write_text("\n".join(["[test.fruits]", *lines, ""]))
        registry._installed.cache_clear()
        return fruits

    yield made
    registry._installed.cache_clear()


PEAR = """
from nas_attn.registry import FRUITS

class Pear: pass

pear = Pear()
FRUITS.add("pear", pear)
"""


def test_what_a_package_offers_is_found_by_its_name_and_knows_its_origin(install: Install) -> None:
    fruits = install(PEAR, "pear = MODULE:pear")
    assert list(fruits) == ["apple", "pear"]
    assert type(fruits["pear"]).__name__ == "Pear"
    origin = fruits.origin("pear")
    assert isinstance(origin, Origin)
    assert origin.package == "users 2.1"
    assert fruits.origin("apple") is None


@pytest.mark.parametrize(
    ("module", "point", "told"),
    [
        (
            "import nowhere_at_all",
            "pear = MODULE:pear",
            ".py:1: ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
        ("x = 1\n1 / 0", "pear = MODULE:pear", ".py:2: ZeroDivisionError: division by zero"),
        ("x = = 1", "pear = MODULE:pear", ".py:1: SyntaxError: invalid syntax"),
        (PEAR, "pear = MODULE:paer", "has no 'paer'; did you mean 'pear'?"),
        (PEAR, "plum = MODULE:pear", "is registered as 'pear'; give both one name"),
        (PEAR, "pear = MODULE:Pear", "is not a registered fruit; see nas_attn.extend"),
        (PEAR.replace('"pear"', '"apple"'), "pear = MODULE:pear", "fruit 'apple' is registered twice"),
        ("", "pear = not_there_at_all:pear", "there is no module 'not_there_at_all'; install the package"),
    ],
    ids=["import", "error", "syntax", "attribute", "name", "unregistered", "taken", "missing"],
)
def test_what_is_wrong_with_a_users_module_is_one_line_that_says_where(
    install: Install, module: str, point: str, told: str
) -> None:
    fruits, name = install(module, point), point.partition(" ")[0]
    for _ in range(2):  # a module that fails halfway tells the same the second time
        with pytest.raises(RegistryError) as refused:
            fruits[name]
        assert told in str(refused.value)
        assert str(refused.value).startswith(f"fruit '{name}' of users 2.1: ")
        assert "\n" not in str(refused.value)
    assert list(fruits)[:1] == ["apple"]  # nothing else suffers
    assert fruits.broken() == {name: str(refused.value)}


def test_one_of_ours_is_not_replaced_by_a_package_that_offers_the_name(install: Install) -> None:
    fruits = install(PEAR.replace('"pear"', '"apple"'), "apple = MODULE:pear")
    assert fruits["apple"] == "ours"
    assert "registered twice" in fruits.broken()["apple"]
    assert list(fruits) == ["apple"]


def test_a_name_that_two_packages_offer_is_refused_with_both(install: Install) -> None:
    install(PEAR, "pear = MODULE:pear")
    fruits = install(PEAR, "pear = MODULE:pear", package="others")
    with pytest.raises(RegistryError, match=r"^fruit 'pear' is offered by others_.* and by users_.*; take one"):
        fruits["pear"]


def test_a_reference_is_told_before_it_is_imported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(reference, "listeners", [told.append])
    fruits, module = install(PEAR), ""
    (module,) = (Path(path).stem for path in Path(sys.path[0]).glob("users_*.py"))
    assert f"{module}:pear" in fruits
    assert told == [f"imports the module {module} for the fruit {module}:pear"]
    assert fruits.origin(f"{module}:pear") == Origin(f"{module}:pear")
