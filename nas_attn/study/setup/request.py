"""Make a request from values, or report everything that is wrong with them; the network and ladder of a
request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from nas_attn.config.settings import AUTO, StudyRequest
from nas_attn.document import field_problems
from nas_attn.errors import NasAttnError, UsageError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.reference import thing_of
from nas_attn.space.peek import asked_in_space, read_network_file

_FILES = (".yaml", ".yml")


def request_from(values: Mapping[str, object]) -> StudyRequest:
    """A request from plain values.

    Raises:
        UsageError: values do not fit; all are reported together.
    """
    if found := request_problems(values):
        raise UsageError([f"{name}: {problem}" for name, problem in found])
    return StudyRequest(**values)  # type: ignore[arg-type]  # request_problems has judged every value


def kept_request(values: Mapping[str, Any]) -> StudyRequest:
    """The request with which a study started, from its stored values.

    In older studies, proposals took a single seed, and short runs started from scratch.
    """
    return StudyRequest(**{"screening_seeds": 1, "ladder_start": "scratch", **values})


def request_problems(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """What is wrong with each value, as (field, problem) pairs; None is always allowed."""
    return field_problems(StudyRequest, {name: value for name, value in values.items() if value is not None})


def asked_network(request: StudyRequest) -> AskedNetwork | None:
    """The network of a request or of its space; None for nas-attn's own U-Net.

    Raises:
        NasAttnError: the file of the network or of the space has errors.
        UsageError: weights are given without a network that could have them.
    """
    asked = network_named(request.network) if request.network else asked_in_space(request.space)
    if request.weights is None:
        return asked
    if asked is None:
        raise UsageError(
            f"--weights {request.weights}: nas-attn's own U-Net is trained from scratch; name a --network that "
            "has these weights"
        )
    return replace(asked, weights=request.weights)


def network_named(text: str) -> AskedNetwork:
    """The network that ``smp:Unet/resnet34``, ``my_package.my_model:make`` or the path of a network file stands
    for.

    Raises:
        NetworkError: the file has errors.
    """
    return read_network_file(Path(text)) if text.endswith(_FILES) else AskedNetwork.parse(text)


def named_network(network: str | Callable[..., object] | None) -> str | None:
    """A network of a search in Python as text, by which every worker finds it.

    Args:
        network: a text, or the class or function that builds it.
    Raises:
        UsageError: it cannot be imported by its name.
    """
    if network is None or isinstance(network, str):
        return network
    module, name = getattr(network, "__module__", ""), getattr(network, "__qualname__", "")
    reference = f"{module}:{name}"
    try:
        found = thing_of("network", reference) if module != "__main__" else None
    except NasAttnError:
        found = None
    if found is not network:
        raise UsageError(
            f"network: {name or type(network).__name__} cannot be imported by workers; define the class or "
            "function that builds the network at the top of a module, and give that, or my_package.my_model:make"
        )
    return reference


def last_rung(ladder: str | None) -> int | None:
    """Steps of a ladder's last rung; None if they are not given."""
    return None if ladder in (None, AUTO) else int(str(ladder).rpartition(",")[2])


def lower_rungs(ladder: str | None) -> tuple[int, ...] | Literal["auto"]:
    """Steps of the rungs below the last."""
    if ladder is None:
        return ()
    return "auto" if ladder == AUTO else tuple(int(part) for part in ladder.split(","))[:-1]
