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
    """What ``nas-attn search`` does: train placements, rank them, export the best.

    The study lies in ``studies/`` below the current folder; the same call goes on with it. Workers are
    processes of their own, so call this below ``if __name__ == "__main__":`` in a script.

    ``data`` may also be a pair of images and masks (arrays or tensors), or a PyTorch ``Dataset`` of (image, mask):
    they are written below ``nas-attn-data/``, once, so that the study can go on and be verified.

    Args:
        {settings}
        listener: called with all records whenever one of them changes.
        progress: whether a bar is shown, and above it, after the first runs, what the search can tell; None shows
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
    """What ``nas-attn train`` does: train an architecture in full, with Lightning, and test it.

    Args:
        architecture: a file that ``nas-attn export`` wrote, or a study, of which its best.
        data: a folder, ``synthetic``, a pair of images and masks, or a ``Dataset`` of (image, mask).
        output: folder of the run; ``runs/`` with the names of both where left out.
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
    """What ``nas-attn predict`` does: segment images with a trained network.

    Args:
        run: the folder of a training, or an architecture file and its weights.
        images: files, or folders of images.
        output: folder for masks/, overlays/ and legend.png.
        tile: side of overlapping tiles, in pixels; None for whole images where they are not very large.
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
    """The search space of a name such as ``unet_attention``, or of a file.

    >>> import nas_attn
    >>> space = nas_attn.read_space("unet_attention")
    >>> len(space.locations)
    13
    >>> space.why_not(space.plain) is None
    True

    Args:
        source: a path, or the name of a space.
        in_channels: channels of an image, in place of the file's.
        classes: K, in place of the file's.
        base_channels: C at full resolution, in place of the file's.
        image_size: H and W for which the sites are computed, in place of the file's.
        start: ``neutral``, ``paper`` or ``identity``, in place of the file's.
        frames: T of the clips, in place of the file's.
    Raises:
        SpaceError: no such file, or it is wrong; every problem with its line and field.
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
    """The network of an architecture file with fresh weights, or that of a run of ``nas-attn train`` with its own.

    Args:
        path: a file that ``nas-attn search`` or ``nas-attn export`` wrote, the folder of a run, its
            weights.safetensors, or the name of a study, of which it is the best.
    Returns:
        a module: (N, in_channels, H, W) -> logits (N, K, H, W); in eval mode where its weights are trained.
    Raises:
        ExportError: the file cannot be read or is wrong; all problems are named together.
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
    """Put the attention of an architecture into a network of your own, which stays the object that it is.

    Its classes, its code, its parameters and their names stay; what is new is ``model.nas_attention``. So it goes
    on in your own training loop, and loads the weights that it loaded before (``strict=False``).

    Args:
        model: the network that the architecture was searched in, or one with the same places.
        source: an architecture file, a study, or the folder of a run of ``nas-attn train``, whose weights the
            model then gets as well.
        seed: of the weights of the attention; with that of a run they are those with which the run began.
    Returns:
        the same object.
    Raises:
        ExportError: the file cannot be read or is wrong, or its network is nas-attn's own.
        NetworkError: the model has other places, or attention of nas-attn already.
    """
    return insert_architecture(model, read_source(str(source)), seed)


def remove(model: nn.Module) -> nn.Module:
    """Take the attention away that ``insert`` put into a network; it is then what it was before.

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
    """What ``nas-attn export`` does: write an architecture in other formats, each compared with the network.

    Args:
        source: a study, by its name or folder; an architecture file; the folder of a run of ``nas-attn train``.
        path: of the file, whose suffix says the format; without a suffix where ``formats`` are several.
        formats: names of formats; None for that of the suffix.
        pick: which placement of a study: ``best``, ``first``, ``knee``, ``one-se``, ``under:macs=1.2x`` or
            ``id:1f0c``.
        storage: SQLAlchemy URL of the study; SQLite in its folder where left out.
        image_size: side of the images where an ONNX file or a program can take one size only; that of the search
            where left out.
    Returns:
        the files, each with the result of its comparison.
    Raises:
        NasAttnError: something cannot be used as it is; every problem says what would be right.
    """
    files = targets(Path(path), None if formats is None else known_formats(formats))
    return tuple(_save(read_source(str(source), pick, storage), files, image_size))


def _both(bar: Listener, other: Listener | None) -> Listener:
    """Both are told of every change."""

    def tell(records: Sequence[TrialRecord]) -> None:
        bar(records)
        if other is not None:
            other(records)

    return tell


def _data(data: object) -> str:
    """A folder or a word as it is; what is in memory is written down, and named by its folder."""
    return str(data) if isinstance(data, (str, Path)) else str(folder_of_data(data))


def _fit_settings(settings: dict[str, Any]) -> FitSettings:
    """As they were given.

    Raises:
        UsageError: one has another name.
    """
    known = [field.name for field in fields(FitSettings)]
    if unknown := [name for name in settings if name not in known]:
        raise UsageError([f"train: unknown setting '{name}'; {did_you_mean(name, known)}" for name in unknown])
    return FitSettings(**settings)
