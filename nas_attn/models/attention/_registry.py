"""Registration of attention modules, and checks of their options, sizes, maps and clips."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from nas_attn.errors import AttentionError
from nas_attn.models.catalogue import KINDS, Attention
from nas_attn.models.kind import AttentionKind

M = TypeVar("M", bound=nn.Module)

SIZES = ("channels", "gate_channels", "block_channels", "classes", "frames")
"""Constructor arguments that describe the site."""


def attention(kind: AttentionKind) -> Callable[[type[M]], type[M]]:
    """Class decorator that registers an ``nn.Module`` under the name of its kind. Use it once for each class.

    The constructor then raises an AttentionError for sizes below 1 and for options that the kind does not allow.
    """

    def register(module: type[M]) -> type[M]:
        module.__init__ = checking(kind, module.__init__)  # type: ignore[method-assign]
        KINDS.add(kind.name, Attention(kind, module))
        return module

    return register


def checking(kind: AttentionKind, construct: Callable[..., None]) -> Callable[..., None]:
    """Wrap a module's ``__init__`` so that it first checks its arguments with ``check_arguments``.

    Args:
        kind: kind of the module.
        construct: the module's own ``__init__``.
    """
    _, *parameters = inspect.signature(construct).parameters.values()
    defaults = {one.name: one.default for one in parameters}
    options = {option.name for option in kind.options}

    @functools.wraps(construct)
    def init(module: object, *args: Any, **keywords: Any) -> None:
        given = dict(zip(defaults, args, strict=False)) | keywords
        # In the constructor's order, without arguments at their defaults: classes=None is no size to check.
        judged = {name: given[name] for name, usual in defaults.items() if given.get(name, usual) is not usual}
        sizes = {name: value for name, value in judged.items() if name in SIZES}
        check_arguments(kind, sizes, {name: value for name, value in judged.items() if name in options})
        construct(module, *args, **keywords)

    return init


def check_arguments(kind: AttentionKind, sizes: Mapping[str, int], options: Mapping[str, object]) -> None:
    """Raise one error that names all arguments which a constructor cannot use.

    Args:
        kind: kind whose constructor was called.
        sizes: sizes of the site, by keyword.
        options: values of the kind's own options, by keyword.
    Raises:
        AttentionError: a size is not a whole number of at least 1, or an option is not allowed.
    """
    found = [
        f"{kind.name}: {name} is {size!r}; it must be a whole number of at least 1"
        for name, size in sizes.items()
        if not isinstance(size, int) or isinstance(size, bool) or size < 1
    ]
    found += kind.problems(options)
    if found:
        raise AttentionError(found)


def check_batch_statistics(name: str, x: Tensor, training: bool) -> None:
    """Raise an error for batch normalisation of a single value, which has no variance.

    Args:
        name: name of the kind in the error message.
        x: the map to normalise over N, H and W; (N, C, H, W).
        training: whether the statistics come from x. Running statistics work for a single value too.
    Raises:
        AttentionError: N * H * W is 1 in training.
    """
    if training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
        raise AttentionError(
            f"{name} cannot be trained on a single image with a 1x1 map: batch normalisation needs more than "
            "one value; use at least 2 images in a batch or a larger image"
        )


def check_clips(name: str, x: Tensor, frames: int) -> None:
    """Raise an error for a batch that contains an incomplete clip.

    Args:
        name: name of the kind in the error message.
        x: T consecutive frames of one clip, then those of the next; (B * T, C, H, W).
        frames: T.
    Raises:
        AttentionError: the number of images is not a multiple of T.
    """
    if x.shape[0] % frames:
        raise AttentionError(
            f"{name} takes whole clips of {frames} frames, and was given {x.shape[0]} images; give it a multiple "
            f"of {frames}, consecutive frames of one clip after another"
        )
