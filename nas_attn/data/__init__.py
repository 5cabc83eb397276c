"""Turn a data set into tensors: a folder of images and masks, or a built-in synthetic task."""

from nas_attn.data.dataset import IGNORED, MAX_CLASSES, Dataset, LabelledImages
from nas_attn.data.folder import check_folder, read_folder
from nas_attn.data.folds import fold_dataset, folds_of, without_validation
from nas_attn.data.picture import read_image
from nas_attn.data.reach import may_be_folder
from nas_attn.data.readers import BUILT_IN
from nas_attn.data.report import FolderReport, absent_classes, card_of
from nas_attn.data.smears import smears
from nas_attn.data.synthetic import synthetic, synthetic_null
from nas_attn.data.synthetic_clips import synthetic_clips

__all__ = [
    "BUILT_IN",
    "IGNORED",
    "MAX_CLASSES",
    "Dataset",
    "FolderReport",
    "LabelledImages",
    "absent_classes",
    "card_of",
    "check_folder",
    "fold_dataset",
    "folds_of",
    "may_be_folder",
    "read_folder",
    "read_image",
    "smears",
    "synthetic",
    "synthetic_clips",
    "synthetic_null",
    "without_validation",
]
