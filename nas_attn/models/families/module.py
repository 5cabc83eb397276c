"""Any class or function that can be imported, as ``my_package.my_model:make``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nas_attn.errors import NetworkError, RegistryError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.families import Builder, network_family
from nas_attn.models.families._call import parameters_of
from nas_attn.reference import is_reference, thing_of

CHANNELS = (
    "in_channels",
    "in_chans",
    "n_channels",
    "input_channels",
    "num_input_channels",
    "in_ch",
    "channels_in",
)
CLASSES = ("classes", "num_classes", "n_classes", "out_channels", "num_labels", "out_ch", "nb_classes")


@network_family("module")
def plan_module(asked: AskedNetwork, in_channels: int, classes: int) -> Builder:
    """Plan a call with the given arguments, and with the data's channels and classes if it has parameters with the
    usual names.

    Raises:
        NetworkError: it cannot be imported or called.
    """
    if not is_reference(asked.build):
        raise NetworkError(
            f"'{asked.build}' is not a network; write my_package.my_model:make, or smp:Unet/resnet34, "
            "monai:BasicUNet, nnunet:plans.json"
        )
    try:
        thing = thing_of(f"network '{asked.build}'", asked.build)
    except RegistryError as error:
        raise NetworkError(list(error.problems)) from error
    if isinstance(thing, nn.Module):
        raise NetworkError(
            f"{asked.build} is an instance of a network; name the class or function that builds it, so that "
            "every run gets its own"
        )
    if not callable(thing):
        raise NetworkError(f"{asked.build} is {type(thing).__name__}; name a class or function that builds one")
    arguments = {**_of_the_data(thing, in_channels, classes), **asked.arguments}
    return Builder(asked.build, thing, asked.build.replace(":", "."), arguments)


def _of_the_data(builder: Callable[..., Any], in_channels: int, classes: int) -> dict[str, int]:
    """The first of the usual names among its parameters, for the channels and for the classes."""
    parameters = parameters_of(builder)
    found = {}
    for names, value in ((CHANNELS, in_channels), (CLASSES, classes)):
        if name := next((name for name in names if name in parameters), None):
            found[name] = value
    return found
