"""The table of settings: each field of ``StudyRequest`` is a flag, a field of study files and a Python argument.

To add a setting, add a field here and a parameter of ``nas_attn.api.search``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from nas_attn.budget import PLAIN, SCRATCH
from nas_attn.commands import command
from nas_attn.config import checks
from nas_attn.document import Read, one_of
from nas_attn.losses import BCE_DICE, CE_DICE, LOSSES
from nas_attn.metric import MEAN_IOU, METRICS
from nas_attn.models.kind import START
from nas_attn.space.ceiling import WAYS_TO_WRITE

AUTO: Final = "auto"
FULL: Final = "full"
NONE: Final = "none"
SYNTHETIC, SYNTHETIC_NULL, SMEARS, CLIPS = "synthetic", "synthetic-null", "smears", "clips"
BUILT_IN = (SYNTHETIC, SYNTHETIC_NULL, SMEARS, CLIPS)
"""Data that need no folder."""
PROCESSES, RAY = "processes", "ray"
FAIL, SPLIT = "fail", "split"
LOCAL = "local"
"""Instead of the address of a Ray cluster: start one on this machine."""
ACCELERATORS = ("auto", "cpu", "cuda")
"""Devices for a full training and its predictions."""
COSTS = ("macs", "parameters", "latency", "memory")
PRECISIONS = ("float32+channels_last", "float32", "bfloat16+channels_last", "bfloat16")


@dataclass(frozen=True)
class Setting:
    """Description of a setting, in addition to its type and default.

    Args:
        group: its heading in the help; one of ``GROUPS``.
        about: what it is, in words.
        otherwise: what applies if it is None.
    """

    group: str
    about: str
    otherwise: str = ""


def _setting(default: object, group: str, about: str, otherwise: str = "") -> Any:
    return field(default=default, metadata={"setting": Setting(group, about, otherwise)})


GROUPS = ("common", "data", "network", "budget", "statistics", "cluster")
_COMMON, _DATA, _NETWORK, _BUDGET, _STATISTICS, _CLUSTER = GROUPS
_PRESET = "preset of the device"

_Text = Annotated[str, Read(checks.path, "text")]
_Url = Annotated[str, MinLen(1)]
_Name = Annotated[str, Read(checks.named, "letters, digits, '_', '-' and '.'")]
_Duration = Annotated[str, Read(checks.duration, "such as 90s, 30m or 1h30m")]
_Strategy = Annotated[str, Read(checks.path, "name of a strategy")]
_Ladder = Annotated[str, Read(checks.ladder, "steps such as 60,180,540, or auto")]
_Device = Annotated[str, Read(checks.device, checks.DEVICES)]
_Ceiling = Annotated[str | int, Read(checks.ceiling, WAYS_TO_WRITE)]
_Trials = Annotated[int, Ge(1), Le(10**6)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
_Seeds = Annotated[int, Ge(1), Le(1000)]
Count = Annotated[int, Ge(1), Le(4096)]
_Side = Annotated[int, Ge(4), Le(4096)]
LongestSide = Annotated[int, Ge(4), Le(65536)]
_Frames = Annotated[int, Ge(1), Le(256)]
_Steps = Annotated[int, Ge(1), Le(checks.MOST_STEPS)]
_Share = Annotated[float, Ge(0), Lt(1)]
_Worth = Annotated[float, Gt(0), Le(100)]
_GpuShare = Annotated[float, Gt(0), Le(8)]
_Cost = Annotated[str, one_of(*COSTS)]
MetricName = Annotated[str, one_of(*METRICS)]
Loss = Annotated[str, one_of(*LOSSES)]
ClassWeights = Annotated[str, Read(checks.class_weights, checks.CLASS_WEIGHTS)]
_Folds = Annotated[int, Ge(2), Le(100)]
Foreground = Annotated[float, Ge(0), Le(1)]
_Start = Annotated[str, one_of(*map(str, START.choices))]
_Auto = Annotated[str, one_of(AUTO)]
_LadderStart = Annotated[str, one_of(SCRATCH, PLAIN)]
_Engine = Annotated[str, one_of(PROCESSES, RAY)]
_Precision = Annotated[str, one_of(AUTO, *PRECISIONS)]
_OutOfMemory = Annotated[str, one_of(FAIL, SPLIT)]
_Level = Annotated[str, one_of("debug", "info", "warning", "error")]


# fmt: off
@dataclass(frozen=True)
class StudyRequest:
    """The settings of a search as they were asked for. None leaves a choice to the device's preset or to the
    space."""

    study: _Name | None = _setting(
        None, _COMMON, "name of the study", "made from the names of the space and the data")
    space: _Text = _setting(
        "unet_attention", _COMMON, f"search space, a name that '{command('spaces')}' lists or a file")
    data: _Text = _setting(SYNTHETIC, _COMMON, "folder with images/ and masks/, or " + ", ".join(BUILT_IN))
    trials: _Trials | None = _setting(
        None, _COMMON, "total number of trials of the study",
        "200; with a timeout, as many as there is time for")
    timeout: _Duration | None = _setting(
        None, _COMMON, "total time of the trials, after which no trial starts", "no limit")
    seed: Seed = _setting(0, _COMMON, "seed of all randomness")
    screening_seeds: _Seeds = _setting(
        4, _STATISTICS,
        "number of seeds that proposals take in turn, so that the luck of one seed does not steer the search")
    strategy: _Strategy = _setting("additive", _COMMON, "how placements are proposed")
    cost: _Cost = _setting("macs", _COMMON, "second objective")
    metric: MetricName = _setting(
        MEAN_IOU, _COMMON,
        "first objective, pooled over all pixels or per image; classes that no mask contains are left out")
    loss: Loss | None = _setting(
        None, _COMMON,
        "loss of every run; tversky and focal are made for rare classes",
        f"{CE_DICE}; {BCE_DICE} where classes may overlap")
    class_weights: ClassWeights = _setting(
        NONE, _COMMON,
        "weight of each class in the loss, in the order of the classes; auto gives rare classes more, by their "
        "share of the training masks")
    foreground: Foreground = _setting(
        0.0, _DATA,
        "share of the training crops that are centred on a pixel of a class other than the first; nnU-Net takes "
        "0.33")
    folds: _Folds | None = _setting(
        None, _DATA,
        "cross-validation for small data sets: number of folds of the training and validation images; each trial "
        "trains one network per fold and is evaluated on all of these images", "the data's split")
    storage: _Url | None = _setting(
        None, _CLUSTER, "SQLAlchemy URL of the study", "SQLite at studies/STUDY/study.db")
    start: _Start | None = _setting(
        None, _NETWORK, "initialisation of every attention for which the space names none", "the space's")
    network: _Text | None = _setting(
        None, _NETWORK,
        "network in which attention is placed, such as smp:Unet/resnet34, monai:BasicUNet, nnunet:plans.json, "
        f"my_package.my_model:make, or a file that '{command('network')}' wrote", "the space's")
    weights: _Text | None = _setting(
        None, _NETWORK, "trained weights of that network: imagenet, none, or a file", "the network file's")
    base_channels: Count | None = _setting(None, _NETWORK, "channels of the network at full resolution", _PRESET)
    image_size: _Side | None = _setting(None, _DATA, "side of the training crops in pixels", _PRESET)
    frames: _Frames | None = _setting(
        None, _DATA, "consecutive frames of a clip that go through the network together", "the space's, or preset")
    batch_size: Count | None = _setting(None, _DATA, "crops of a step; of clips, windows of frames", _PRESET)
    steps: _Steps | None = _setting(None, _BUDGET, "optimiser steps of a trial", _PRESET)
    budget: _Auto | None = _setting(
        None, _BUDGET,
        "how the number of steps is chosen; auto doubles it until differences between placements have settled, as "
        "long as the search fits into the timeout, or 12 hours",
        "auto for your own data if no steps are given")
    ladder: _Ladder | None = _setting(
        None, _BUDGET,
        "steps of short, longer and full trials; auto takes a ninth and a third once they are shown to predict "
        "full trials", "all trials in full")
    ladder_start: _LadderStart = _setting(
        PLAIN, _BUDGET, "whether the shorter trials of a ladder start from the trained baseline or from scratch")
    longest_side: LongestSide | Literal["full"] | None = _setting(
        None, _DATA, "side in pixels to which larger images of a folder are shrunk; full leaves them as they are",
        _PRESET)
    max_macs: _Ceiling | None = _setting(None, _NETWORK, "ceiling of the MACs", "the space's")
    max_parameters: _Ceiling | None = _setting(None, _NETWORK, "ceiling of the parameters", "the space's")
    max_cost: _Ceiling | None = _setting(
        None, _NETWORK,
        "ceiling of the cost that --cost names (not memory); latency in milliseconds or multiples", "none")
    finalists: _Share = _setting(
        0.25, _STATISTICS,
        "share of the trials for the finals, in which the leading placements run with fresh seeds")
    worth: _Worth | None = _setting(
        None, _STATISTICS, "smallest gain over the baseline that matters to you, in points",
        "what five fresh seeds of nine finalists can show")
    stop: bool = _setting(
        True, _STATISTICS,
        "whether the search ends once it is settled that a placement gains enough to matter, or none does")
    device: _Device = _setting(AUTO, _COMMON, "where to train; with several devices, one worker on each")
    workers: Count | Literal["auto"] = _setting(
        AUTO, _CLUSTER,
        "parallel trials on this machine; auto is one for each core, or the number with which a GPU is fastest")
    parallel: Count | None = _setting(
        None, _CLUSTER, f"parallel trials on all machines together, where others join by '{command('worker')}'",
        "workers")
    engine: _Engine = _setting(PROCESSES, _CLUSTER, "what runs the workers: processes of this machine, or Ray")
    address: _Text = _setting(LOCAL, _CLUSTER, "address of the Ray cluster, such as auto; local starts one here")
    gpu_share: _GpuShare = _setting(
        1.0, _CLUSTER, "share of a GPU for each worker of Ray, such as 0.25 for four workers on one GPU")
    precision: _Precision = _setting(
        AUTO, _NETWORK, "number format and memory layout; auto is the fastest here, measured once")
    out_of_memory: _OutOfMemory = _setting(
        FAIL, _BUDGET,
        "whether a trial that runs out of memory fails, or runs its batches in parts where results stay the same")
    log_level: _Level = _setting(
        "info", _CLUSTER, "lowest level that is written to the log files, studies/STUDY/logs")
    # fmt: on

    def to_dict(self) -> dict[str, object]:
        """The settings that were given, as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


FIELDS = tuple(field.name for field in fields(StudyRequest))
