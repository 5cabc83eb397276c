"""A recorded forward pass: the inputs of each submodule, and the history of each feature.

Nothing is computed: the network and the image are on the meta device, where tensors only have sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

HEIGHT, WIDTH = 256, 384
"""Size of the image. Its sides differ, so that a map of one pixel is not mistaken for one reduced by a stride."""


@dataclass(eq=False)
class Feature:
    """A tensor of the pass that is a map of the image.

    Args:
        channels: C.
        stride: side, in pixels of the image, of one position.
        deepest: the largest stride of all features from which it was made, its own included.
    """

    channels: int
    stride: int
    deepest: int

    @property
    def goes_down(self) -> bool:
        """Whether nothing deeper went into it, so that it is a feature of the encoder."""
        return self.stride == self.deepest


@dataclass(eq=False)
class Call:
    """One call of a submodule.

    Args:
        name: its qualified name; empty for the whole network.
        begin: number of the event at which it was called.
        end: number of the event at which it returned; -1 while it runs.
        callers: the calls within which it was made, the outermost first.
        given: the tensors among its arguments, by the names or positions of its parameters.
        output: its result, if that is one tensor.
    """

    name: str
    begin: int
    callers: tuple[Call, ...]
    given: dict[str, Tensor]
    end: int = -1
    output: Tensor | None = None


@dataclass(eq=False)
class Operation:
    """One function of torch, as Python calls it.

    Args:
        at: number of the event.
        callers: the calls of submodules within which it was called, the outermost first.
        inputs: the tensors among its arguments.
        output: its result, if that is one tensor.
        joins: the parts of a concatenation along the channels.
    """

    at: int
    callers: tuple[Call, ...]
    inputs: tuple[Tensor, ...]
    output: Tensor
    joins: tuple[Tensor, ...] = ()


@dataclass(eq=False)
class Tape:
    """The events of a forward pass, in order.

    Args:
        image: input of the network.
        output: of the network.
        calls: of submodules.
        operations: of torch.
    """

    image: Tensor
    output: Any = None
    calls: list[Call] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    _features: dict[int, Feature] = field(default_factory=dict)
    _depths: dict[int, int] = field(default_factory=dict)
    _kept: list[Tensor] = field(default_factory=list)

    def feature(self, tensor: Tensor | None) -> Feature | None:
        """The feature of a tensor; None if it is not a map of the image."""
        return None if tensor is None else self._features.get(id(tensor))

    def parts(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """The parts of a concatenation along the channels; empty for any other tensor."""
        return next((one.joins for one in self.operations if one.joins and one.output is tensor), ())

    def last_given(self, tensor: Tensor | None, before: int) -> int:
        """Number of the last event, before a given one, at which an operation returned a tensor or changed it in
        place; 0 if there is none."""
        return max((one.at for one in self.operations if one.output is tensor and one.at < before), default=0)

    def note(self, tensor: Tensor, made_of: Iterable[Tensor]) -> None:
        """Record a tensor and what it was made from. A tensor that was changed in place is recorded again."""
        stride = _stride(tensor)
        depth = max([self._depths.get(id(part), 1) for part in made_of], default=1)
        self._depths[id(tensor)] = max(depth, stride or 1)
        if stride is not None:
            self._features[id(tensor)] = Feature(int(tensor.shape[1]), stride, max(depth, stride))
        self._kept.append(tensor)  # or its number would be given away again

    def knows(self, tensor: Tensor) -> bool:
        """Whether a tensor was recorded."""
        return id(tensor) in self._depths


def record(network: nn.Module, in_channels: int) -> Tape:
    """Record the forward pass of one image.

    Args:
        network: on the meta device, in eval mode.
        in_channels: of the image.
    """
    image = torch.zeros(1, in_channels, HEIGHT, WIDTH, device="meta")
    tape = Tape(image)
    tape.note(image, ())
    with torch.no_grad(), _Recorder(tape) as recorder, _watched(network, recorder):
        tape.output = network(image)
    return tape


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors of nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_in(part)


class _Recorder(TorchFunctionMode):
    """Records functions of torch and calls of submodules.

    Args:
        tape: to write to.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape
        self.stack: list[Call] = []
        self.clock = 0

    def tick(self) -> int:
        """The number of the next event."""
        self.clock += 1
        return self.clock

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, (Tensor, list, tuple)):
            self._note(func, args, kwargs or {}, result)
        return result

    def _note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> None:
        inputs = tuple(tensors_in([args, kwargs]))
        outputs = list(tensors_in(result))
        for output in outputs:
            self.tape.note(output, inputs)
        if len(outputs) == 1 and isinstance(result, Tensor):
            joins = _joined(func, args, kwargs)
            self.tape.operations.append(Operation(self.tick(), tuple(self.stack), inputs, result, joins))


@contextmanager
def _watched(network: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """A context in which a recorder is notified of the calls of all submodules."""
    handles: list[RemovableHandle] = []
    for name, module in network.named_modules():
        watcher = _Watcher(name, module, recorder)
        handles.append(module.register_forward_pre_hook(watcher.begin, with_kwargs=True))
        handles.append(module.register_forward_hook(watcher.end))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Watcher:
    def __init__(self, name: str, module: nn.Module, recorder: _Recorder) -> None:
        self._name, self._recorder = name, recorder
        self._parameters = _parameters(module)

    def begin(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recorder = self._recorder
        given = {
            self._parameters[position] if position < len(self._parameters) else str(position): value
            for position, value in enumerate(args)
        }
        direct = {name: value for name, value in (given | kwargs).items() if isinstance(value, Tensor)}
        call = Call(self._name, recorder.tick(), tuple(recorder.stack), direct)
        recorder.tape.calls.append(call)
        recorder.stack.append(call)

    def end(self, _: nn.Module, args: tuple[Any, ...], output: object) -> None:
        recorder = self._recorder
        call = recorder.stack.pop()
        call.end = recorder.tick()
        for tensor in tensors_in(output):  # a compiled function is not seen: its result is as deep as what it got
            if not recorder.tape.knows(tensor):
                recorder.tape.note(tensor, call.given.values())
        call.output = output if isinstance(output, Tensor) else None


def _parameters(module: nn.Module) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in inspect.signature(module.forward).parameters.values() if one.kind in kinds]


def _joined(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, ...]:
    """The parts of a concatenation along the channels; empty for any other function."""
    if getattr(func, "__name__", "") not in ("cat", "concat", "concatenate") or func not in _CONCATENATIONS:
        return ()
    parts = tuple(args[0] if args else kwargs["tensors"])
    dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
    return parts if dim in (1, -3) and all(part.ndim == 4 for part in parts) else ()


_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)


def _stride(tensor: Tensor) -> int | None:
    """The stride of a tensor, a power of two; None if it is not a map of the image."""
    if tensor.ndim != 4 or not tensor.shape[2] or not tensor.shape[3]:
        return None
    stride, rest = divmod(HEIGHT, tensor.shape[2])
    if rest or stride * tensor.shape[3] != WIDTH or stride & (stride - 1):
        return None
    return stride
