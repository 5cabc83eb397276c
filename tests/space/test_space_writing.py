import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.errors import SpaceError
from nas_attn.space import read_space, space_from_dict, space_from_text, space_text, write_space

SPECS = st.one_of(
    st.sampled_from(["none", "se", "cbam", "scse", "pam", {"kind": "pam", "start": "identity"}]),
    st.fixed_dictionaries(
        {"kind": st.just("se")},
        optional={"reduction": st.integers(1, 64), "scale": st.floats(0.5, 9), "start": st.just("identity")},
    ),
    st.fixed_dictionaries({"kind": st.just("cbam"), "bias": st.booleans(), "start": st.just("paper")}),
    st.fixed_dictionaries({"kind": st.just("scse"), "fusion": st.sampled_from(["add", "max"])}),
)
GATED = SPECS | st.sampled_from(["gate", {"kind": "gate", "start": "identity"}])
SIDES = st.integers(8, 200)
CEILINGS = st.integers(1, 10**15) | st.floats(1, 1000).map(lambda factor: f"{factor:.4f}x") | st.just("2.5G")


def lists_of(specs):
    return st.lists(specs, min_size=1, max_size=5, unique_by=str)


FILES = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True),
        "network": st.fixed_dictionaries(
            {"family": st.just("unet"), "depth": st.integers(2, 3)},
            optional={
                "norm": st.sampled_from(["batch", "group", "instance"]),
                "upsampling": st.sampled_from(["transpose", "bilinear"]),
                "base_channels": st.integers(1, 64),
                "in_channels": st.integers(1, 9),
                "classes": st.integers(2, 9),
                "image_size": SIDES | st.lists(SIDES, min_size=2, max_size=2),
            },
        ),
        "choices": st.fixed_dictionaries(
            {"bottleneck": lists_of(SPECS)},
            optional={"encoder": lists_of(SPECS), "encoder.1": lists_of(SPECS), "skip": lists_of(GATED),
                      "skip.0": lists_of(GATED), "decoder.0": lists_of(GATED)},
        ),
    },
    optional={
        "description": st.text(max_size=60),
        "start": st.sampled_from(["neutral", "paper", "identity"]),
        "ladder": st.lists(st.integers(1, 9999), min_size=2, max_size=4, unique=True).map(sorted),
        "options": st.fixed_dictionaries({"se": st.fixed_dictionaries({"reduction": st.integers(1, 8)})}),
        "limits": st.fixed_dictionaries({}, optional={
            "max_positions": st.integers(16, 9000), "max_macs": CEILINGS, "max_parameters": CEILINGS,
        }),
    },
)  # fmt: skip


@settings(max_examples=60)
@given(values=FILES)
def test_reading_what_was_written_gives_an_equal_space(kinds, values):
    try:
        space = space_from_dict(values, kinds, where="drawn")
    except SpaceError as error:
        usual = ("is listed twice", "no choice is left at", "cannot be shown")
        unusual = [problem for problem in error.problems if not any(word in problem for word in usual)]
        assert unusual == []
        return
    assert space_from_text(space_text(space), kinds, where="written") == space
    assert space_from_dict(space.to_dict(), kinds, where="kept") == space
    assert yaml.safe_load(space_text(space)) == space.to_dict()
    assert space_text(space_from_text(space_text(space), kinds, where="written")) == space_text(space)


def test_a_space_is_written_complete_so_that_it_reads_the_same_anywhere(read, kinds, tmp_path):
    space = read(
        "version: 1\nname: x\ndescription: for me\nnetwork: {family: unet, depth: 2}\nstart: identity\n"
        "choices: {encoder: [pam, none], skip: [none, {kind: se, reduction: 4}]}\nlimits: {max_macs: 1.50x}"
    )
    write_space(space, tmp_path / "kept.yaml")
    assert yaml.safe_load((tmp_path / "kept.yaml").read_text()) == {
        "version": 1,
        "name": "x",
        "description": "for me",
        "network": {
            "family": "unet",
            "depth": 2,
            "norm": "batch",
            "upsampling": "transpose",
            "base_channels": 16,
            "in_channels": 3,
            "classes": 2,
            "image_size": 128,
        },
        "start": "identity",
        "choices": {
            "encoder.0": ["none", "pam"],
            "encoder.1": ["pam", "none"],
            "bottleneck": ["none"],
            "skip.0": ["none", {"kind": "se", "reduction": 4}],
            "skip.1": ["none", {"kind": "se", "reduction": 4}],
            "decoder.0": ["none"],
            "decoder.1": ["none"],
        },
        "limits": {"max_positions": 4096, "max_macs": "1.5x"},
    }
    assert read_space(tmp_path / "kept.yaml", kinds) == space


def test_a_written_space_can_still_be_given_another_start_or_size(read, kinds, tmp_path):
    text = "version: 1\nname: x\nnetwork: {family: unet, depth: 2}\nchoices: {encoder: [none, se, pam]}\nstart: "
    write_space(read(text + "identity"), tmp_path / "kept.yaml")
    assert read_space(tmp_path / "kept.yaml", kinds, start="paper") == read(text + "paper")
    assert read_space(tmp_path / "kept.yaml", kinds, image_size=64).dropped == ()


def test_a_list_that_stands_twice_in_the_values_is_read_twice(read, kinds):
    choices = ["none", "se"]
    values = {
        "version": 1,
        "name": "tried",
        "network": {"family": "unet", "depth": 2},
        "choices": {"skip": choices, "encoder": choices},
    }
    assert space_from_dict(values, kinds, where="shared").size == 2**4


def test_values_that_are_no_plain_data_are_refused(kinds):
    circle: list[object] = []
    circle.append(circle)
    for value in (object(), {1, 2}, circle, b"bytes"):
        with pytest.raises(SpaceError, match=r"^study\.yaml: not plain data: "):
            space_from_dict({"version": value}, kinds, where="study.yaml")
