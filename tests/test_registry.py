"""A registry finds the files of its package by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_attn.errors import RegistryError
from nas_attn.registry import Registry


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """A registry of a package of two files, and of one that it must leave alone."""
    package = f"fruits_of_{tmp_path.name}"
    registry: Registry[int] = Registry(package, "fruit")
    monkeypatch.setattr("nas_attn.registry.FRUITS", registry, raising=False)
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, value in (("pear", 2), ("apple", 1)):
        (folder / f"{name}.py").write_text(
            f"from nas_attn.registry import FRUITS\nFRUITS.add('{name}', {value})\n"
        )
    (folder / "_private.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return registry


def test_files_are_found_on_first_use_and_names_are_sorted(fruits: Registry[int]) -> None:
    assert list(fruits) == ["apple", "pear"]
    assert (fruits["pear"], len(fruits), "apple" in fruits, "plum" in fruits) == (2, 2, True, False)


def test_an_unknown_name_is_answered_with_the_nearest(fruits: Registry[int]) -> None:
    with pytest.raises(RegistryError, match=r"unknown fruit 'aple'; did you mean 'apple'\?"):
        fruits["aple"]


def test_a_name_cannot_be_registered_twice(fruits: Registry[int]) -> None:
    assert fruits.register("plum")(3) == 3
    with pytest.raises(RegistryError, match="fruit 'plum' is registered twice; give one of them another name"):
        fruits.add("plum", 4)
