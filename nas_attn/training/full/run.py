"""The training of one network in its own folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from nas_attn import __version__
from nas_attn.architecture import Architecture, write_architecture
from nas_attn.data import Dataset
from nas_attn.models.build import build_network
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import start_versions
from nas_attn.training import (
    Segmenter,
    class_counts,
    fresh_network,
    loss_of,
    pack_images,
    score_images,
    start_at_frequencies,
)
from nas_attn.training.full.plan import FitPlan, Hardware
from nas_attn.training.full.result import Announcement, EpochRecord, Report, TrainedNetwork
from nas_attn.training.full.run_folder import RunFolder, architecture_id, write_json
from nas_attn.training.full.weights import WeightsInfo, bits_of, load_weights, write_weights
from nas_attn.wording.placements import describe


@dataclass(frozen=True, eq=False)
class Run:
    """The training of one network in one folder.

    Args:
        name: ``architecture`` or ``plain``.
        architecture: what to train, with the classes and the normalisation of the data.
        dataset: the data to train on.
        plan: of the training.
        hardware: of the training.
        folder: for its files.
    """

    name: str
    architecture: Architecture
    dataset: Dataset
    plan: FitPlan
    hardware: Hardware
    folder: RunFolder

    @property
    def identity(self) -> dict[str, object]:
        """The values that must be equal for a training to resume in a folder: plain values, for JSON."""
        return {
            "architecture": architecture_id(self.architecture),
            "data": self.dataset.name,
            "fingerprint": self.dataset.fingerprint,
            **start_versions((spec for _, spec in self.architecture.placement), catalogue()),
            **self.plan.to_dict(),
        }

    def trained(self, report: Report) -> TrainedNetwork:
        """Train the rest of the run, if any, and return its result.

        Args:
            report: called, in one process only, before the training and after each of its steps and epochs.
        """
        if (finished := self.folder.finished()) is not None:
            return finished
        from nas_attn.training.full.lightning_shell import CheckpointCallback, SegmentationModule, fit, is_chief

        if is_chief():
            self.folder.claim(self.identity)
            write_architecture(self.architecture, self.folder.architecture, catalogue())
            report(Announcement(self.name, self.plan, str(self.hardware)))
        module = fresh_network(self.architecture.network, self.architecture.placement, self.plan.seed)
        if self.plan.recipe.class_prior:
            start_at_frequencies(module, *class_counts(self.dataset.train.labels, self.dataset.multi_label))
        precision = self.hardware.precision
        precision.place(module, torch.device("cpu"))

        def keep_best(record: EpochRecord) -> None:
            write_weights(self.folder.weights, module, self._info(record))

        callback = CheckpointCallback(self.folder.path, keep_best, self.plan.patience, report)
        shell = SegmentationModule(module, self.architecture, self.dataset, self.plan, precision)
        fit(shell, self.plan, self.hardware, callback, self.folder.path)
        trained = self._tested(callback.records)
        if is_chief():
            write_json(self.folder.metrics, {"trained": asdict(trained)})
        return trained

    def _tested(self, records: tuple[EpochRecord, ...]) -> TrainedNetwork:
        """Test the weights that were written, read back into a new network as ``predict`` does."""
        architecture, device = self.architecture, self.hardware.device
        module = build_network(architecture.network, architecture.placement)
        info = load_weights(self.folder.weights, module, architecture_id(architecture))
        images = pack_images(self.dataset.test, architecture.mean, architecture.std, device, self.plan.frames)
        segmenter = Segmenter(
            module.eval().to(device),
            images.mean,
            images.std,
            architecture.network.min_image_size,
            multi_label=images.multi_label,
        )
        loss = loss_of(self.plan.recipe, images.device)
        score = score_images(segmenter, images, architecture.network.classes, loss=loss)
        return TrainedNetwork(
            placement=self.architecture.placement.id,
            epochs=len(records),
            best_epoch=info.epoch,
            val_iou=info.val_iou,
            test_iou=score.iou,
            test_iou_per_class=score.iou_per_class,
            test_metrics=dict(score.metrics),
            seconds=sum(record.seconds for record in records),
        )

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
            multi_label=self.dataset.multi_label,
        )
