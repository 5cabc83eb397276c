"""The workers of a study, and the decoded images that all workers on a machine share."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from filelock import FileLock

from nas_attn.config.settings import LOCAL, RAY
from nas_attn.errors import StudyError
from nas_attn.steps import step
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.resolve import Resolved
from nas_attn.study.workers.pool import Pool
from nas_attn.study.workers.process_pool import Follow, ProcessPool, nobody
from nas_attn.study.workers.ray_pool import RayPool
from nas_attn.study.workers.worker_count import crowded
from nas_attn.study.workers.worker_process import WorkerLog
from nas_attn.training.evaluation import write_sets
from nas_attn.training.metrics import machine_bytes

log = logging.getLogger(__name__)


def study_pool(
    resolved: Resolved, folder: StudyFolder, log_name: str, follow: Follow
) -> AbstractContextManager[Pool]:
    """The workers of the chosen engine.

    Args:
        resolved: the search.
        folder: of the study.
        log_name: prefix of the names of their log files.
        follow: called regularly with the progress of trials that run in processes of this machine.
    """
    request, settings = resolved.request, resolved.settings
    if request.engine != RAY:
        return processes(resolved, folder, log_name, follow)
    # Ray gives a worker its GPU, which is then the only one that it sees.
    on_gpu = settings.device_kind != "cpu"
    evaluators = [replace(one, device=settings.device_kind) for one in resolved.evaluators()]
    share = request.gpu_share if on_gpu else 0.0
    address = None if request.address == LOCAL else request.address
    logs = _worker_logs(resolved, folder, log_name)
    return RayPool(evaluators, logs, address=address, gpus=share, fingerprint=settings.fingerprint)


def processes(resolved: Resolved, folder: StudyFolder, log_name: str, follow: Follow = nobody) -> ProcessPool:
    """Workers that share the decoded images, which are decoded again if they are damaged."""
    if problem := crowded(resolved.settings.workers, machine_bytes()):
        log.warning(problem)
    packed = partial(packed_images, resolved, folder)
    logs = _worker_logs(resolved, folder, log_name)
    return ProcessPool(resolved.evaluators(packed()), logs, mend=packed, follow=follow)


def _worker_logs(resolved: Resolved, folder: StudyFolder, log_name: str) -> list[WorkerLog]:
    """One file for each worker; on another machine, it has the same path there."""
    level = resolved.request.log_level
    paths = (folder.log(f"{log_name}-{index}").absolute() for index in range(resolved.settings.workers))
    return [WorkerLog(path, level) for path in paths]


def packed_images(resolved: Resolved, folder: StudyFolder) -> Path:
    """The folder of a search's packed images. The first process packs them, and the others wait.

    Raises:
        StudyError: the images cannot be written, or files of others are in their place.
    """
    try:
        return _packed(resolved, folder)
    except OSError as error:
        raise StudyError(
            f"{folder.packed_images}: the decoded images cannot be written: {error.strerror}; make room for them"
        ) from None


def packed_if_writable(resolved: Resolved, folder: StudyFolder) -> Path | None:
    """The folder of packed images for readers of a study; None if the study's folder cannot be written, so that
    images stay in memory.

    Raises:
        StudyError: files of others are in their place.
    """
    try:
        return _packed(resolved, folder)
    except OSError:
        return None


def _packed(resolved: Resolved, folder: StudyFolder) -> Path:
    with step("packing the images"), FileLock(folder.path / "images.lock"):
        return write_sets(resolved.dataset, folder.packed_images, resolved.settings.space.network.frames)
