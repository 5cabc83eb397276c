"""The same from Python: search, read a space, load an architecture, take it away.

>>> import nas_attn
>>> result = nas_attn.search(space="unet_attention_small", trials=20)  # doctest: +SKIP
>>> print(result.verdict)  # doctest: +SKIP
>>> network = nas_attn.load(result.best)  # doctest: +SKIP
>>> nas_attn.save(result.best, "best.py")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from nas_attn.architecture import read_architecture
from nas_attn.budget import PLAIN
from nas_attn.config.described import with_settings
from nas_attn.config.settings import FIELDS
from nas_attn.data.from_memory import folder_of_data
from nas_attn.data.readers import read_data
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.export.formats import known_formats, targets
from nas_attn.export.insertion import insert_architecture, remove_attention
from nas_attn.export.save import Saved
from nas_attn.export.save import save as _save
from nas_attn.export.subject import read_source
from nas_attn.metric import MEAN_IOU
from nas_attn.models.build import build_network
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.notebook_progress import progress_bar
from nas_attn.printable import plain_name
from nas_attn.reporting.progress.first_look import FirstLook
from nas_attn.reporting.progress.pace import Pace
from nas_attn.space import SearchSpace
from nas_attn.space import read_space as _read_space
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.study.run import StudyResult, run_study
from nas_attn.study.setup.request import named_network, request_from
from nas_attn.study.setup.resolve import resolve
from nas_attn.training import fresh_network
from nas_attn.training.full import FitResult, FitSettings, PredictionReport
from nas_attn.training.full import predict as segment
from nas_attn.training.full import train as fit
from nas_attn.training.full.run_folder import RunFolder

if TYPE_CHECKING:
    from nas_attn.record import TrialRecord
    from nas_attn.study.loop import Listener


@with_settings
def search(
    space: str = "unet_attention",
    data: str | Path | object = "synthetic",
    *,
    trials: int | None = None,
    timeout: str | None = None,
    study: str | None = None,
    seed: int = 0,
    screening_seeds: int = 4,
    strategy: str = "additive",
    cost: str = "macs",
    metric: str = MEAN_IOU,
    loss: str | None = None,
    class_weights: str = "none",
    foreground: float = 0.0,
    folds: int | None = None,
    storage: str | None = None,
    start: str | None = None,
    network: str | Callable[..., nn.Module] | None = None,
    weights: str | Path | None = None,
    base_channels: int | None = None,
    image_size: int | None = None,
    frames: int | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
    budget: str | None = None,
    ladder: str | None = None,
    ladder_start: str = PLAIN,
    longest_side: int | str | None = None,
    max_macs: str | int | None = None,
    max_parameters: str | int | None = None,
    max_cost: str | int | None = None,
    finalists: float = 0.25,
    worth: float | None = None,
    stop: bool = True,
    device: str = "auto",
    workers: int | str = "auto",
    parallel: int | None = None,
    engine: str = "processes",
    address: str = "local",
    gpu_share: float = 1.0,
    precision: str = "auto",
    out_of_memory: str = "fail",
    log_level: str = "info",
    listener: Listener | None = None,
    progress: bool | None = None,
) -> StudyResult:
    """Search as ``nas-attn search`` does: train placements, rank them and export the best.

    The study is stored in ``studies/`` in the current folder; the same call continues it. Workers are separate
    processes, so in a script, call this below ``if __name__ == "__main__":``.

    ``data`` may also be a pair of images and masks (arrays or tensors), or a PyTorch ``Dataset`` of (image, mask).
    They are written once to ``nas-attn-data/``, so that the study can be continued and verified.

    Args:
        {settings}
        listener: called with all records whenever one of them changes.
        progress: whether to show a bar and, above it after the first runs, what the search can detect; None shows
            them in notebooks and on terminals.
    Raises:
        NasAttnError: something cannot be used as it is; every problem says what would be right.
    """
    given = locals()
    asked = {name: given[name] for name in FIELDS}
    texts = {"space": str(space), "data": _data(data), "network": named_network(network)}
    request = request_from({**asked, **texts, "weights": None if weights is None else str(weights)})
    resolved = resolve(request)
    settings, agenda = resolved.settings, Agenda(resolved.settings, resolved.costs)
    first_look = FirstLook(settings, agenda, Pace.of(settings, agenda, workers=settings.workers))
    with progress_bar(settings.trials, shown=progress, first_look=first_look) as bar:
        return run_study(resolved, _both(bar, listener))


def train(
    architecture: str | Path, data: str | Path | object, output: str | Path | None = None, **settings: Any
) -> FitResult:
    """Train as ``nas-attn train`` does: train an architecture in full with Lightning, and test it.

    Args:
        architecture: a file that ``nas-attn export`` wrote, or a study, whose best architecture is trained.
        data: a folder, ``synthetic``, a pair of images and masks, or a ``Dataset`` of (image, mask).
        output: folder of the run; the default is a folder in ``runs/`` with the names of both.
        settings: of ``nas_attn.training.full.FitSettings``, such as ``epochs``, ``seed`` and ``against_plain``.
    Raises:
        NasAttnError: something cannot be used as it is; every problem says what would be right.
    """
    chosen = _fit_settings(settings)
    subject = read_source(str(architecture)).architecture
    dataset = read_data(_data(data), subject.image_size, longest_side=chosen.longest_side)
    name = f"{Path(architecture).stem}-{plain_name(dataset.name)}"
    return fit(subject, dataset, chosen, Path("runs") / name if output is None else Path(output))


def predict(
    run: str | Path | tuple[str | Path, str | Path],
    images: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    tile: int | None = None,
    accelerator: str = "auto",
) -> PredictionReport:
    """Segment images with a trained network, as ``nas-attn predict`` does.

    Args:
        run: the folder of a training, or an architecture file and its weights.
        images: files, or folders of images.
        output: folder for masks/, overlays/ and legend.png.
        tile: side of overlapping tiles, in pixels; None segments whole images unless they are very large.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
    Raises:
        NasAttnError: something cannot be used as it is; every problem says what would be right.
    """
    if isinstance(run, tuple):
        architecture, weights = run
    else:
        folder = RunFolder(Path(run))
        architecture, weights = folder.architecture, folder.weights
    paths = [Path(images)] if isinstance(images, (str, Path)) else list(map(Path, images))
    network = read_architecture(architecture, catalogue())
    return segment(network, Path(weights), paths, Path(output), tile=tile, accelerator=accelerator)


def read_space(
    source: str | Path,
    *,
    in_channels: int | None = None,
    classes: int | None = None,
    base_channels: int | None = None,
    image_size: int | None = None,
    start: str | None = None,
    frames: int | None = None,
) -> SearchSpace:
    """The search space of a name such as ``unet_attention``, or of a file. An argument that is given replaces the
    file's value.

    >>> import nas_attn
    >>> space = nas_attn.read_space("unet_attention")
    >>> len(space.locations)
    13
    >>> space.why_not(space.plain) is None
    True

    Args:
        source: a path, or the name of a space.
        in_channels: channels of an image.
        classes: K.
        base_channels: C at full resolution.
        image_size: H and W for which the sites are computed.
        start: ``neutral``, ``paper`` or ``identity``.
        frames: T of the clips.
    Raises:
        SpaceError: there is no such file, or it has errors; each problem is given with its line and field.
    """
    return _read_space(
        source,
        catalogue(),
        in_channels=in_channels,
        classes=classes,
        base_channels=base_channels,
        image_size=image_size,
        start=start,
        frames=frames,
    )


def load(path: str | Path) -> nn.Module:
    """Load the network of an architecture file with initial weights, or that of a run of ``nas-attn train`` with
    its trained weights.

    Args:
        path: a file that ``nas-attn search`` or ``nas-attn export`` wrote, the folder of a run, its
            weights.safetensors, or the name of a study, whose best architecture is loaded.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W); in eval mode if its weights are trained.
    Raises:
        ExportError: the file cannot be read or has errors; all problems are reported together.
        StudyError: there is no such study.
    """
    subject = read_source(str(path))
    if subject.weights is not None:
        return subject.network()
    network, placement = subject.architecture.network, subject.architecture.placement
    if isinstance(network, DescribedNetwork):  # with the trained weights that it begins with
        return fresh_network(network, placement, seed=0)
    return build_network(network, placement)


def insert(model: nn.Module, source: str | Path, *, seed: int = 0) -> nn.Module:
    """Insert the attention of an architecture into a network of your own, in place.

    The network keeps its classes, code, parameters and their names; only ``model.nas_attention`` is new. So it
    works in your own training loop, and loads the weights that it loaded before (``strict=False``).

    Args:
        model: the network in which the architecture was searched, or one with the same locations.
        source: an architecture file, a study, or the folder of a run of ``nas-attn train``, whose weights the
            model then gets as well.
        seed: of the weights of the attention; with the seed of a run, they are the initial weights of that run.
    Returns:
        the same object.
    Raises:
        ExportError: the file cannot be read or has errors, or its network is nas-attn's own.
        NetworkError: the model lacks a location, or already has attention of nas-attn.
    """
    return insert_architecture(model, read_source(str(source)), seed)


def remove(model: nn.Module) -> nn.Module:
    """Remove the attention that ``insert`` put into a network, which is then as it was before.

    Args:
        model: the network.
    Returns:
        the same object.
    Raises:
        NetworkError: it has no attention of nas-attn.
    """
    return remove_attention(model)


def save(
    source: str | Path,
    path: str | Path,
    *,
    formats: Sequence[str] | None = None,
    pick: str | None = None,
    storage: str | None = None,
    image_size: int | None = None,
) -> tuple[Saved, ...]:
    """Write an architecture in other formats, as ``nas-attn export`` does. Each file is compared with the network.

    Args:
        source: a study, by its name or folder; an architecture file; the folder of a run of ``nas-attn train``.
        path: of the file, whose suffix gives the format; without a suffix if there are several ``formats``.
        formats: names of formats; None takes the format of the suffix.
        pick: which placement of a study: ``best``, ``first``, ``knee``, ``one-se``, ``under:macs=1.2x`` or
            ``id:1f0c``.
        storage: SQLAlchemy URL of the study; the default is SQLite in its folder.
        image_size: side of the images, if an ONNX file or a program can take one size only; the default is that of
            the search.
    Returns:
        the files, each with the result of its comparison.
    Raises:
        NasAttnError: something cannot be used as it is; every problem says what would be right.
    """
    files = targets(Path(path), None if formats is None else known_formats(formats))
    return tuple(_save(read_source(str(source), pick, storage), files, image_size))


def _both(bar: Listener, other: Listener | None) -> Listener:
    """A listener that calls both."""

    def tell(records: Sequence[TrialRecord]) -> None:
        bar(records)
        if other is not None:
            other(records)

    return tell


def _data(data: object) -> str:
    """The word for ``--data``: a folder or a name as it is; data in memory are written to a folder."""
    return str(data) if isinstance(data, (str, Path)) else str(folder_of_data(data))


def _fit_settings(settings: dict[str, Any]) -> FitSettings:
    """The settings of a full training.

    Raises:
        UsageError: a setting is unknown.
    """
    known = [field.name for field in fields(FitSettings)]
    if unknown := [name for name in settings if name not in known]:
        raise UsageError([f"train: unknown setting '{name}'; {did_you_mean(name, known)}" for name in unknown])
    return FitSettings(**settings)
