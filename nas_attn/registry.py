"""Names to things, found by importing the files of one package on first use."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from nas_attn.errors import RegistryError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """What the files of a package offer, by name.

    Args:
        package: dotted name of the package whose files register themselves. Files whose name
            starts with an underscore are left alone.
        noun: what one entry is called in errors, such as ``attention``.
    """

    def __init__(self, package: str, noun: str) -> None:
        self._package = package
        self._noun = noun
        self._entries: dict[str, T] = {}
        self._discovered = False

    def add(self, name: str, entry: T) -> None:
        """Register an entry.

        Raises:
            RegistryError: the name is taken.
        """
        if name in self._entries:
            raise RegistryError(f"{self._noun} '{name}' is registered twice; give one of them another name")
        self._entries[name] = entry

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates and returns it unchanged."""

        def decorate(entry: T) -> T:
            self.add(name, entry)
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        """The entry of that name.

        Raises:
            RegistryError: no file of the package registers the name.
        """
        self._discover()
        if name not in self._entries:
            raise RegistryError(f"unknown {self._noun} '{name}'; {did_you_mean(name, self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._discover()
        return len(self._entries)

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
        self._discovered = True
