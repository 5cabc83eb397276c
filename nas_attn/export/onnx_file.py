"""Write an ONNX file of a network, and run it with ONNX Runtime before it is kept."""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_attn import __version__
from nas_attn.architecture.replacing import replacing
from nas_attn.errors import ExportError, MissingPackageError
from nas_attn.export.subject import Subject
from nas_attn.export.trace import Attempt, graph_of
from nas_attn.export.words import holding_sentence, input_sentence, origin_sentence, weights_sentence
from nas_attn.wording.placements import describe

MAX_BYTES = 2 * 1024**3 - 1
"""Maximum size of an ONNX file, which is a single protocol buffer."""

_FREE = ("batch", None, "height", "width")


def write_onnx(subject: Subject, path: Path, image_size: int | None) -> str:
    """Write an ONNX file with the input ``images``, normalised, and the output ``logits``.

    Args:
        subject: to write.
        path: of the file.
        image_size: H and W of the images if the network cannot be exported for every size; None takes those of the
            search.
    Returns:
        in words, which sizes it takes, and how ONNX Runtime's results compare with the network's.
    Raises:
        ExportError: the network cannot be expressed in ONNX, its results differ, or the path cannot be written.
        MissingPackageError: onnx, onnxscript or onnxruntime is not installed.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _needed(package)
    contents: list[bytes] = []

    def attempt(program: torch.export.ExportedProgram, any_size: bool) -> Any:
        contents.append(_converted(subject, program, any_size))
        return _runner(contents[-1])

    verdict = graph_of(subject, path, image_size, Attempt("ONNX", attempt, fixed_groups=True))
    with replacing(path) as part:
        part.write_bytes(contents[-1])
    return verdict


def _converted(subject: Subject, program: torch.export.ExportedProgram, any_size: bool) -> bytes:
    onnx = _needed("onnx")
    with _silent():
        converted = torch.onnx.export(
            program, dynamo=True, verbose=False, input_names=["images"], output_names=["logits"]
        )
    if converted is None:
        raise ExportError("the converter returned no model")
    model = converted.model_proto
    (images,), (logits,) = model.graph.input, model.graph.output
    for value in (images, logits):
        for dimension, name in zip(value.type.tensor_type.shape.dim, _FREE, strict=True):
            if name is not None and (any_size or name == "batch"):
                dimension.dim_param = name
    model.producer_name, model.producer_version = "nas-attn", __version__
    onnx.helper.set_model_props(model, _facts(subject))
    if model.ByteSize() > MAX_BYTES:
        raise ExportError("larger than 2 GiB, which one ONNX file cannot be")
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _facts(subject: Subject) -> dict[str, str]:
    """Metadata for programs that use the model."""
    architecture = subject.architecture
    return {
        "classes": json.dumps(list(architecture.classes), ensure_ascii=False),
        **({"multi_label": "true"} if architecture.multi_label else {}),
        "mean": json.dumps(list(architecture.mean)),
        "std": json.dumps(list(architecture.std)),
        "placement": describe(architecture.placement),
        "input": f"(images - mean) / std. {input_sentence(architecture, subject.trained)}",
        "origin": f"{origin_sentence(architecture)} {holding_sentence(architecture)}".strip(),
        "weights": weights_sentence(subject.trained),
    }


def _runner(content: bytes) -> Any:
    runtime = _needed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        return torch.from_numpy(logits)

    return run


def _needed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingPackageError(
            f"onnx needs {package}, which is not installed: pip install 'nas-attn[onnx]'"
        ) from None


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the converter, which prints much for its developers."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
