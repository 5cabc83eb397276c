"""The training of one network in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from nas_attn import __version__
from nas_attn.attention import catalogue
from nas_attn.data import Dataset
from nas_attn.export import Architecture, write_architecture
from nas_attn.fit.curve import EpochRecord, StepRecord
from nas_attn.fit.hardware import Hardware
from nas_attn.fit.identity import RunIdentity, architecture_id
from nas_attn.fit.loaded import bits_of
from nas_attn.fit.plan import FitPlan
from nas_attn.fit.result import TrainedNetwork
from nas_attn.fit.run_folder import RunFolder, write_json
from nas_attn.fit.scoring import score_images
from nas_attn.fit.weights import WeightsInfo, load_weights, write_weights
from nas_attn.reporting.text.placements import describe
from nas_attn.training import initialise
from nas_attn.training.normalise import Normalisation
from nas_attn.training.segmenter import Segmenter
from nas_attn.unet import build_unet


@dataclass(frozen=True)
class Announcement:
    """What a training is about to do.

    Args:
        network: ``architecture`` or ``plain``.
        plan: of the training.
        hardware: in words.
    """

    network: str
    plan: FitPlan
    hardware: str


Report = Callable[[Announcement | StepRecord | EpochRecord], None]


@dataclass(frozen=True, eq=False)
class Run:
    """One network, one folder.

    Args:
        name: ``architecture`` or ``plain``.
        architecture: what to train, with the classes and the normalisation of the data.
        dataset: what it is to learn.
        plan: how.
        hardware: where.
        folder: for its files.
    """

    name: str
    architecture: Architecture
    dataset: Dataset
    plan: FitPlan
    hardware: Hardware
    folder: RunFolder

    @property
    def identity(self) -> RunIdentity:
        """What makes it this run and no other."""
        return RunIdentity(
            architecture_id(self.architecture), self.dataset.name, self.dataset.fingerprint, self.plan
        )

    def check_folder(self) -> None:
        """Make sure that the folder is free for this run.

        Raises:
            TrainingError: it is not.
        """
        self.folder.check(self.identity)

    def finished(self) -> TrainedNetwork | None:
        """What the run found out, if it was made to its end."""
        return self.folder.finished()

    def trained(self, report: Report) -> TrainedNetwork:
        """What the run found out, after training whatever is left of it.

        Args:
            report: called, in one process only, before the training and after each of its steps and
                epochs.
        """
        finished = self.finished()
        if finished is not None:
            return finished
        from nas_attn.fit.lightning_shell import is_chief, teach  # Lightning takes seconds to import

        if is_chief():
            self.folder.claim(self.identity)
            write_architecture(self.architecture, self.folder.architecture, catalogue())
            report(Announcement(self.name, self.plan, str(self.hardware)))
        segmenter = self._segmenter()
        initialise(segmenter.module, self.plan.seed)

        def keep_best(record: EpochRecord) -> None:
            write_weights(self.folder.weights, segmenter.module, self._info(record))

        records = teach(segmenter, self.dataset, self.plan, self.hardware, self.folder.path, keep_best, report)
        trained = self._judged(records)
        if is_chief():
            write_json(self.folder.metrics, {"trained": asdict(trained)})
        return trained

    def _judged(self, records: tuple[EpochRecord, ...]) -> TrainedNetwork:
        """The test of the weights that were written, read back into a new network."""
        segmenter = self._segmenter()
        info = load_weights(self.folder.weights, segmenter.module, architecture_id(self.architecture))
        segmenter.module.eval().to(self.hardware.device)
        iou, per_class = score_images(
            segmenter, self.dataset.test, len(self.dataset.classes), self.hardware.device, self.plan.frames
        )
        return TrainedNetwork(
            placement=self.architecture.placement.id,
            epochs=len(records),
            best_epoch=info.epoch,
            val_iou=info.val_iou,
            test_iou=iou,
            test_iou_per_class=per_class,
            seconds=sum(record.seconds for record in records),
        )

    def _segmenter(self) -> Segmenter:
        module = build_unet(self.architecture.network, self.architecture.placement)
        normalisation = Normalisation(self.architecture.mean, self.architecture.std)
        return Segmenter(module, normalisation, self.architecture.network.min_image_size)

    def _info(self, record: EpochRecord) -> WeightsInfo:
        return WeightsInfo(
            architecture=architecture_id(self.architecture),
            placement=describe(self.architecture.placement),
            classes=self.architecture.classes,
            mean=self.architecture.mean,
            std=self.architecture.std,
            bits=bits_of(self.dataset.train.image(0)),
            longest_side=self.plan.longest_side,
            data=self.dataset.fingerprint,
            seed=self.plan.seed,
            epoch=record.epoch,
            val_iou=record.val_iou,
            version=__version__,
        )
