"""Registries of objects by name: from the files of a package, from entry points, and by ``module:name``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from nas_attn.errors import RegistryError, did_you_mean
from nas_attn.reference import Origin, announce, is_reference, thing_of

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects by name: from the files of a package, and from users' own packages.

    A user's package offers an entry by an entry point, whose name is the name of the entry. Without an entry
    point, the name is ``module:name``, and every process finds it that can import the module.

    Args:
        package: dotted name of the package whose files register themselves. Files whose name starts with an
            underscore are skipped.
        noun: name of an entry in error messages, such as ``attention``.
        group: of the entry points.
        of: returns, for an entry, the object that ``module:name`` names.
        named: returns an entry under another name.
    """

    def __init__(
        self,
        package: str,
        noun: str,
        group: str = "",
        *,
        of: Callable[[T], object] = lambda entry: entry,
        named: Callable[[T, str], T] = lambda entry, name: entry,
    ) -> None:
        self._package = package
        self._noun = noun
        self._group = group
        self._of = of
        self._named = named
        self._entries: dict[str, T] = {}
        self._outside: dict[str, tuple[T, Origin]] = {}
        self._failed: dict[str, RegistryError] = {}
        self._own: frozenset[str] = frozenset()
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
        """Decorator that registers an object and returns it unchanged."""

        def decorate(entry: T) -> T:
            self.add(name, entry)
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        """The entry of that name.

        Raises:
            RegistryError: no entry has the name, or the module that has it cannot be used.
        """
        if (entry := self._found(name)) is None:
            raise RegistryError(f"unknown {self._noun} '{name}'; {did_you_mean(name, self)}")
        return entry

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._found(name) is not None

    def __iter__(self) -> Iterator[str]:
        """All names: those of nas-attn's own entries, and of usable entries of installed packages."""
        self._discover()
        offered, broken = self.offered().keys(), self.broken().keys()
        return iter(sorted(self._own | (self._entries.keys() | offered) - broken))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _found(self, name: str) -> T | None:
        """The entry of that name, nas-attn's own first; None if there is none."""
        self._discover()
        if name in self._own or (entry := self.outside(name)) is None:
            return self._entries.get(name)
        return entry

    def outside(self, name: str) -> T | None:
        """The entry of a user's module, which is imported; None if the name belongs to no such entry.

        Raises:
            RegistryError: the module cannot be used.
        """
        if name not in self._outside:
            if name in self._failed:
                raise self._failed[name]
            try:
                if (origin := self._where(name)) is None:
                    return None
                self._outside[name] = self._imported(name, origin), origin
            except RegistryError as error:  # kept: what fails halfway has registered something the second time
                self._failed[name] = error
                raise
        return self._outside[name][0]

    def origin(self, name: str) -> Origin | None:
        """Origin of an entry of a user's module that was looked up before; None for every other name."""
        return self._outside[name][1] if name in self._outside else None

    def packages(self) -> frozenset[str]:
        """First names of the packages of users' modules that were imported for an entry."""
        return frozenset(
            origin.reference.partition(":")[0].partition(".")[0] for _, origin in self._outside.values()
        )

    def offered(self) -> dict[str, Origin]:
        """Entries of installed packages, by name; nothing is imported."""
        return {point.name: _origin(point) for point in self._points()}

    def broken(self) -> dict[str, str]:
        """Why some entries of installed packages cannot be used, in words, by name."""
        for name in self.offered():
            with suppress(RegistryError):
                self.outside(name)
        return {name: str(error) for name, error in self._failed.items() if name in self.offered()}

    def _points(self) -> tuple[EntryPoint, ...]:
        return _installed(self._group) if self._group else ()

    def _where(self, name: str) -> Origin | None:
        """The module of an entry, from its entry point or its name; None if there is neither."""
        origins = {_origin(point) for point in self._points() if point.name == name}
        if len(origins) > 1:
            offers = " and by ".join(sorted(map(str, origins)))
            raise RegistryError(f"{self._noun} '{name}' is offered by {offers}; take one of them away")
        return next(iter(origins), Origin(name) if self._group and is_reference(name) else None)

    def _imported(self, name: str, origin: Origin) -> T:
        if not origin.package:
            announce(origin.reference, self._noun)
        self._discover()
        what = f"{self._noun} '{name}'" + (f" of {origin.package}" if origin.package else "")
        thing = thing_of(what, origin.reference)
        own = next((one for one, entry in self._entries.items() if self._of(entry) is thing), None)
        if own is None:
            raise RegistryError(
                f"{what}: {origin.reference} is not a registered {self._noun}; see nas_attn.extend"
            )
        if origin.package and own != name:
            raise RegistryError(f"{what}: {origin.reference} is registered as '{own}'; give both one name")
        return self._named(self._entries[own], name)

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
        self._own = frozenset(self._entries)
        self._discovered = True


@functools.cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, searched once per process."""
    return tuple(entry_points(group=group))


def _origin(point: EntryPoint) -> Origin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
    return Origin(point.value.replace(" ", ""), package)
