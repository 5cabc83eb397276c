"""Insert attention into a network whose classes, code, weights and names stay unchanged."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.utils.hooks import RemovableHandle

from nas_attn.errors import NetworkError, did_you_mean
from nas_attn.models.insertion.hooks import Argument, AttendInput, AttendOutput
from nas_attn.models.insertion.points import HookPoint, Way
from nas_attn.models.insertion.stand_in import StandIn

CONTAINER = "nas_attention"
"""The attribute of the network with all attention modules. All new names start with it; no other names change."""


_Hooked = tuple[nn.Module, AttendInput | AttendOutput | StandIn]
"""A submodule, and the hook that is called with it."""


@dataclass(frozen=True)
class Place:
    """Where a module is inserted.

    Args:
        at: the feature that it refines, or the submodule that it replaces or wraps.
        gate: its gating signal, another feature of the same call; None if it takes none.
    """

    at: HookPoint
    gate: HookPoint | None = None

    @classmethod
    def parse(cls, at: str, gate: str = "") -> Place:
        """Read two points; the gate may be empty.

        Raises:
            NetworkError: one of them has not the right form.
        """
        return cls(HookPoint.parse(at), HookPoint.parse(gate) if gate else None)


class Attentions(nn.ModuleDict):
    """The attention modules of a network, by location (``skip_3``), and the hooks that call them."""

    def __init__(self) -> None:
        super().__init__()
        self.handles: list[RemovableHandle | StandIn] = []

    def by_location(self) -> dict[str, nn.Module]:
        """The modules by location, such as ``skip.3``."""
        return {name.replace("_", "."): module for name, module in self.items()}


def insert_modules(network: nn.Module, modules: Mapping[str, tuple[nn.Module, Place]]) -> None:
    """Send features of a network through attention modules, which become a part of it.

    The modules are in ``network.nas_attention``; submodules, parameters and their names stay. The weights of a
    replaced submodule become buffers of the same names (see ``StandIn``).

    Args:
        network: any module without attention of nas-attn.
        modules: maps a location, such as ``skip.3``, to the module and its place.
    Raises:
        NetworkError: a place does not exist, or attention was inserted before; all problems are reported together.
    """
    if hasattr(network, CONTAINER):
        raise NetworkError("this network already has attention of nas-attn; nas_attn.remove(model) removes it")
    problems = []
    hooks: list[_Hooked] = []
    for location, (module, place) in modules.items():
        try:
            hooks.append(_hook(network, module, place, hooks))
        except NetworkError as error:
            problems += [f"{location}: {problem}" for problem in error.problems]
    if problems:
        raise NetworkError(problems)
    attentions = Attentions()
    for location, (module, _) in modules.items():
        attentions[location.replace(".", "_")] = module
    for owner, hook in hooks:
        if isinstance(hook, StandIn):
            hook.begin()
            attentions.handles.append(hook)
        elif isinstance(hook, AttendInput):
            attentions.handles.append(owner.register_forward_pre_hook(hook, with_kwargs=True))
        else:
            attentions.handles.append(owner.register_forward_hook(hook, with_kwargs=True))
    network.add_module(CONTAINER, attentions)


def remove_modules(network: nn.Module) -> bool:
    """Remove all attention of nas-attn with its parameters; False if there was none."""
    attentions = getattr(network, CONTAINER, None)
    if not isinstance(attentions, Attentions):
        return False
    for handle in attentions.handles:
        handle.remove()
    delattr(network, CONTAINER)
    return True


def argument_of(module: nn.Module, point: HookPoint) -> Argument:
    """The argument of a submodule that a point names.

    Raises:
        NetworkError: its ``forward`` has no such parameter.
    """
    parameters = list(inspect.signature(module.forward).parameters.values())
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    asked = str(point.argument)
    by_name = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    if asked in (*names, *by_name):
        return Argument(names.index(asked) if asked in names else None, asked, point.channels)
    takes_any = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    if asked.isdecimal() and (int(asked) < len(names) or takes_any):
        position = int(asked)
        return Argument(position, names[position] if position < len(names) else None, point.channels)
    raise NetworkError(f"{point.module} takes no argument '{asked}'; {did_you_mean(asked, [*names, *by_name])}")


def submodule(network: nn.Module, name: str) -> nn.Module:
    """A part of a network by its qualified name.

    Raises:
        NetworkError: there is no part of that name.
    """
    known = dict(network.named_modules(remove_duplicate=False))
    if name in known and name:
        found: nn.Module = known[name]
        return found
    near = difflib.get_close_matches(name, known, n=1)
    mend = f"did you mean '{near[0]}'?" if near else f"at the top are {', '.join(dict(network.named_children()))}"
    raise NetworkError(f"the network has no submodule '{name}'; {mend}")


def _hook(network: nn.Module, module: nn.Module, place: Place, others: Sequence[_Hooked]) -> _Hooked:
    owner = submodule(network, place.at.module)
    if place.at.way is not Way.BEHIND:
        if "forward" in vars(owner) or any(isinstance(one, StandIn) and one.owner is owner for _, one in others):
            raise NetworkError(f"{place.at.module} has something else in its place already")
        return owner, StandIn(module, owner, place.at.way is Way.AROUND)
    gate = None
    if place.gate is not None:
        if place.gate.module != place.at.module or place.gate.argument is None:
            raise NetworkError(
                f"the gate {place.gate} must be an argument of {place.at.module}, as the feature is"
            )
        gate = argument_of(owner, place.gate)
    if place.at.argument is not None:
        return owner, AttendInput(module, argument_of(owner, place.at), gate)
    if place.at.channels is not None:
        raise NetworkError(f"{place.at}: channels can be named of an argument only, such as {place.at.module}(0)")
    return owner, AttendOutput(module, gate)
