import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from nas_attn.architecture import Architecture
from nas_attn.errors import DataError, ExportError, UsageError
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import initialise, recalibrate_batchnorm
from nas_attn.training.full import architecture_id, predict
from nas_attn.training.full.weights import WeightsInfo, write_weights

CLASSES = ("background", "nucleus", "vessel")


def trained(folder, channels=3, longest_side=None, bits=8):
    """An architecture, its module with weights that find every class somewhere, and the weights' file."""
    network = UNetConfig(in_channels=channels, classes=3, depth=2, base_channels=4)
    placement = network.plain.replace(Location.parse("decoder.0"), AttentionSpec("se"))
    mean, std = (100.0 if bits == 8 else 30_000.0,) * channels, (50.0 if bits == 8 else 9_000.0,) * channels
    module = build_unet(network, placement)
    initialise(module, 0)
    noise = torch.randn(2, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    recalibrate_batchnorm(module, [noise], module)
    with torch.no_grad():
        module.head.bias -= module(noise).mean((0, 2, 3))
    architecture = Architecture(network, placement, CLASSES, mean, std, image_size=32)
    info = WeightsInfo(
        architecture=architecture_id(architecture),
        placement="se at decoder.0",
        classes=CLASSES,
        mean=mean,
        std=std,
        bits=bits,
        longest_side=longest_side,
        data="",
        seed=0,
        epoch=1,
        val_iou=0.5,
        version="0",
    )
    path = folder / "weights.safetensors"
    write_weights(path, module, info)
    return architecture, module.eval(), path


def save_image(path, height=24, width=36, channels=3, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(values[..., 0] if channels == 1 else values).save(path)
    return values


def by_hand(module, values, mean=100.0, std=50.0):
    inputs = torch.from_numpy(((values.astype(np.float64) - mean) / std).transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        return module(inputs)[0].argmax(0).numpy()


def test_masks_are_the_argmax_of_the_network_built_by_hand(tmp_path):
    architecture, module, weights = trained(tmp_path)
    values = {name: save_image(tmp_path / "in" / f"{name}.png", seed=seed) for seed, name in enumerate("ab")}
    report = predict(architecture, weights, [tmp_path / "in"], tmp_path / "out", accelerator="cpu")
    assert report.classes == CLASSES
    assert not report.problems
    for prediction, (name, image) in zip(report.predictions, values.items(), strict=True):
        assert prediction.mask == tmp_path / "out" / "masks" / f"{name}.png"
        with Image.open(prediction.mask) as opened:
            assert opened.mode == "L"
            mask = np.asarray(opened)
        expected = by_hand(module, image)
        assert (mask == expected).all()
        assert prediction.shares == pytest.approx([(expected == k).mean() for k in range(3)])
        assert all(share > 0 for share in prediction.shares)
        with Image.open(prediction.overlay) as opened:
            assert (opened.mode, opened.size) == ("RGB", (36, 24))
    assert (tmp_path / "out" / "legend.png").exists()


def test_tiles_are_put_together_to_a_mask_of_the_whole_image(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "large.png", 150, 90)
    shapes = []
    for name, tile in (("whole", None), ("tiled", 64)):
        predict(architecture, weights, [tmp_path / "large.png"], tmp_path / name, tile=tile, accelerator="cpu")
        with Image.open(tmp_path / name / "masks" / "large.png") as opened:
            shapes.append((opened.size, len(np.unique(np.asarray(opened)))))
    assert shapes == [((90, 150), 3), ((90, 150), 3)]


def test_images_are_reduced_as_those_of_the_training_and_masks_are_as_large_as_the_file(tmp_path):
    architecture, module, weights = trained(tmp_path, longest_side=24)
    save_image(tmp_path / "large.png", 48, 96)
    values = np.full((20, 24, 3), 7, dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "small.png")
    seen = []
    report = predict(
        architecture,
        weights,
        [tmp_path / "large.png", tmp_path / "small.png"],
        tmp_path / "out",
        accelerator="cpu",
    )
    for prediction in report.predictions:
        with Image.open(prediction.mask) as opened:
            seen.append(opened.size)
            mask = np.asarray(opened)
    assert seen == [(96, 48), (24, 20)]
    assert (mask == by_hand(module, values)).all()
    # In a mask enlarged four times no class changes within single pixels as it does in one of noise.
    with Image.open(tmp_path / "out" / "masks" / "large.png") as opened:
        reduced = np.asarray(opened)
    assert (reduced[:, 1:] != reduced[:, :-1]).mean() < 0.1


def test_sixteen_bit_images_are_read_in_full(tmp_path):
    architecture, module, weights = trained(tmp_path, channels=1, bits=16)
    values = np.random.default_rng(0).integers(0, 65536, (24, 20), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "deep.tif", values)
    report = predict(architecture, weights, [tmp_path / "deep.tif"], tmp_path / "out", accelerator="cpu")
    with Image.open(report.predictions[0].mask) as opened:
        assert (np.asarray(opened) == by_hand(module, values[..., None], 30_000.0, 9_000.0)).all()


def test_grey_images_serve_a_network_of_three_channels(tmp_path):
    architecture, module, weights = trained(tmp_path)
    values = save_image(tmp_path / "grey.png", channels=1)
    report = predict(architecture, weights, [tmp_path / "grey.png"], tmp_path / "out", accelerator="cpu")
    with Image.open(report.predictions[0].mask) as opened:
        assert (np.asarray(opened) == by_hand(module, values.repeat(3, axis=2))).all()


def test_images_that_cannot_be_used_are_named_and_the_others_segmented(tmp_path):
    architecture, _, weights = trained(tmp_path)
    folder = tmp_path / "in"
    for seed, name in enumerate(("a", "c", "e")):
        save_image(folder / f"{name}.png", seed=seed)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "d.jpg").write_text("no image")
    tifffile.imwrite(
        folder / "f.tif", np.zeros((20, 20, 5), dtype=np.uint8), photometric="minisblack", planarconfig="contig"
    )
    tifffile.imwrite(folder / "g.tif", np.zeros((20, 20), dtype=np.uint16))
    done = []
    report = predict(
        architecture,
        weights,
        [folder],
        tmp_path / "out",
        accelerator="cpu",
        report=lambda number, total: done.append((number, total)),
    )
    assert [prediction.image.name for prediction in report.predictions] == ["a.png", "c.png", "e.png"]
    problems = {name: line for name in "bdfg" for line in report.problems if f"{name}." in line}
    assert len(report.problems) == len(problems) == 4
    assert "damaged" in problems["b"]
    assert "is not a PNG, JPEG, TIFF, BMP, GIF, WebP, .npy or .npz" in problems["d"]
    assert "has 5 channels" in problems["f"]
    assert "has 16 bits a channel, the training images had 8; convert the image" in problems["g"]
    assert done == [(number, 7) for number in range(1, 8)]
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["a.png", "c.png", "e.png"]


def test_paths_that_hold_no_image_are_refused_together_before_anything_is_written(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "data" / "images" / "a.png")
    (tmp_path / "empty").mkdir()
    paths = [tmp_path / "data", tmp_path / "empty", tmp_path / "dta"]
    with pytest.raises(UsageError) as error:
        predict(architecture, weights, paths, tmp_path / "out", accelerator="cpu")
    nested, empty, missing = error.value.problems
    assert nested.endswith(f"; did you mean {tmp_path / 'data' / 'images'}?")
    assert "empty: the folder holds no image (.png, .jpg" in empty
    assert missing.endswith("dta: no such file or folder; did you mean 'data'?")
    assert not (tmp_path / "out").exists()


def test_two_images_of_one_name_are_refused(tmp_path):
    architecture, _, weights = trained(tmp_path)
    for name in ("x/a.png", "y/a.png"):
        save_image(tmp_path / name)
    with pytest.raises(UsageError, match=r"x/a\.png and .*y/a\.png would all be written to .*masks/a\.png"):
        predict(architecture, weights, [tmp_path / "x", tmp_path / "y"], tmp_path / "out", accelerator="cpu")


def test_an_image_named_twice_is_segmented_once(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "x" / "a.png")
    report = predict(
        architecture, weights, [tmp_path / "x", tmp_path / "x" / "a.png"], tmp_path / "out", accelerator="cpu"
    )
    assert len(report.predictions) == 1


def test_a_file_that_no_prediction_made_is_never_written_over(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "data" / "images" / "a.png")
    save_image(tmp_path / "data" / "masks" / "a.png", channels=1)
    before = (tmp_path / "data" / "masks" / "a.png").read_bytes()
    for images in ("images", "masks"):  # the truth of the images, and an input itself
        with pytest.raises(
            UsageError, match=r"masks/a\.png: was not written by a prediction and would be overwritten"
        ):
            predict(architecture, weights, [tmp_path / "data" / images], tmp_path / "data", accelerator="cpu")
    assert (tmp_path / "data" / "masks" / "a.png").read_bytes() == before


def test_a_prediction_can_be_repeated(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "a.png")
    first = predict(architecture, weights, [tmp_path / "a.png"], tmp_path / "out", accelerator="cpu")
    assert predict(architecture, weights, [tmp_path / "a.png"], tmp_path / "out", accelerator="cpu") == first


def test_an_output_that_is_a_file_is_refused(tmp_path):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a\.png: is a file; give a folder"):
        predict(architecture, weights, [tmp_path / "a.png"], tmp_path / "a.png", accelerator="cpu")


def test_a_pickle_given_as_weights_is_refused_before_anything_is_written(tmp_path):
    architecture, module, _ = trained(tmp_path)
    save_image(tmp_path / "a.png")
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ExportError, match=r"weights\.pt: a pickle"):
        predict(architecture, tmp_path / "weights.pt", [tmp_path / "a.png"], tmp_path / "out", accelerator="cpu")
    assert not (tmp_path / "out").exists()


def test_a_mask_without_room_is_a_problem_and_the_old_one_stays_whole(tmp_path, room_for):
    architecture, _, weights = trained(tmp_path)
    save_image(tmp_path / "a.png", height=64, width=64)
    out = tmp_path / "out"
    predict(architecture, weights, [tmp_path / "a.png"], out)
    before = (out / "masks" / "a.png").read_bytes()
    room_for(100)
    with pytest.raises(DataError, match=r"legend\.png: cannot be written \(File too large\)"):
        predict(architecture, weights, [tmp_path / "a.png"], out)
    assert (out / "masks" / "a.png").read_bytes() == before
    assert not list(out.rglob(".*"))


def test_nothing_is_written_into_a_data_set(tmp_path):
    architecture, _, weights = trained(tmp_path)[:3]
    data = tmp_path / "data"
    for part in ("images", "masks"):
        (data / part / "train").mkdir(parents=True)
    image = data / "images" / "train" / "a.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    for output in (data, data / "masks" / "new"):
        with pytest.raises(UsageError, match=r"is inside the data set .*, where nothing is written"):
            predict(architecture, weights, [image], output)
