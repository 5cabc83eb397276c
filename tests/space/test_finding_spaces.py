import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.errors import SpaceError
from nas_attn.space import find, find_space, list_spaces, read_space

SHIPPED = Path(__file__).parents[2] / "search_spaces"
TEXT = (
    "version: 1\nname: {0}\ndescription: from {0}\nnetwork: {{family: unet, depth: 2}}\nchoices: {{skip: [se]}}\n"
)


def put(folder, name, text=TEXT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text.format(folder.parent.name))


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The current folder, a checkout, and what a wheel installs; each with a search_spaces folder to fill."""
    here, checkout, installed = tmp_path / "here", tmp_path / "checkout", tmp_path / "installed"
    for folder in (here, checkout, installed):
        folder.mkdir()
    (checkout / "pyproject.toml").write_text("")
    monkeypatch.chdir(here)
    monkeypatch.setattr(find, "_CHECKOUT", checkout)
    monkeypatch.setattr(find.sysconfig, "get_path", lambda name, scheme: str(installed))
    return {
        "here": here / "search_spaces",
        "checkout": checkout / "search_spaces",
        "installed": installed / "share" / "nas-attn" / "search_spaces",
    }


def test_a_name_is_looked_for_here_then_in_the_checkout_then_where_a_wheel_puts_it(places, kinds):
    for place, read_from in (("installed", "nas-attn"), ("checkout", "checkout"), ("here", "here")):
        put(places[place], "mine")
        assert find_space("mine").resolve() == places[place] / "mine.yaml"
        assert read_space("mine", kinds).name == read_from


def test_a_folder_of_that_name_beside_an_installed_package_is_not_ours(places):
    put(places["checkout"], "mine")
    (places["checkout"].parent / "pyproject.toml").unlink()
    with pytest.raises(SpaceError, match="unknown search space 'mine'"):
        find_space("mine")


def test_an_unknown_name_is_answered_with_a_near_one(places):
    put(places["checkout"], "unet_attention")
    put(places["here"], "other")
    with pytest.raises(SpaceError) as caught:
        find_space("unet_atention")
    assert str(caught.value) == (
        "unknown search space 'unet_atention'; did you mean 'unet_attention'? (a file of your own is named by its "
        "path)"
    )
    with pytest.raises(SpaceError, match="known: other, unet_attention"):
        find_space("xyz")


@pytest.mark.parametrize("source", ["sub/mine", "mine.yaml", "mine.yml", "./mine", Path("mine")], ids=str)
def test_what_looks_like_a_path_is_a_path(places, source):
    put(places["here"], "mine")
    assert find_space(source) == Path(source)


def test_the_list_has_the_nearest_of_each_name_sorted(places):
    put(places["installed"], "b")
    put(places["installed"], "a")
    put(places["here"], "b")
    assert [(found.name, found.description) for found in list_spaces()] == [
        ("a", "from nas-attn"),
        ("b", "from here"),
    ]
    assert all(found.path.is_file() and found.problem is None for found in list_spaces())


def test_a_broken_file_does_not_hide_the_others_from_the_list(places):
    put(places["here"], "bad", "a: [")
    put(places["here"], "empty", "")
    put(places["here"], "folded", "version: 1\ndescription: >\n  two\n  lines\n")
    put(places["here"], "listed", "- 1\n")
    put(places["here"], "numbered", "description: 3\n")
    (places["here"] / "folder.yaml").mkdir()
    found = {summary.name: summary for summary in list_spaces()}
    assert found["bad"].problem is not None
    assert found["bad"].problem.startswith("search_spaces/bad.yaml: line 1, column 5: not valid YAML")
    assert "the file is empty" in str(found["empty"].problem)
    assert "this is a folder" in str(found["folder"].problem)
    assert (found["folded"].description, found["folded"].problem) == ("two lines", None)
    assert found["listed"].description == found["numbered"].description == ""


def test_no_folder_at_all_is_an_empty_list(places):
    assert list_spaces() == []


def test_paths_in_errors_are_relative_where_the_file_lies_here(places, kinds):
    put(places["here"], "bad", "a: [")
    put(places["installed"], "worse", "a: [")
    with pytest.raises(SpaceError, match=r"^search_spaces/bad\.yaml: line 1"):
        read_space("bad", kinds)
    with pytest.raises(SpaceError, match=r"^search_spaces/bad\.yaml: line 1"):
        read_space(places["here"] / "bad.yaml", kinds)
    with pytest.raises(SpaceError, match=rf"^{places['installed']}/worse\.yaml: line 1"):
        read_space("worse", kinds)


def test_listing_needs_neither_torch_nor_optuna(tmp_path):
    code = (
        "import sys; from nas_attn.space import list_spaces; names = [found.name for found in list_spaces()]; "
        "print(names, sorted({'torch', 'optuna', 'lightning'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SHIPPED.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert (
        done.stdout.strip()
        == "['unet_attention', 'unet_attention_clips', 'unet_attention_full', 'unet_attention_skips', "
        "'unet_attention_small'] []"
    )
