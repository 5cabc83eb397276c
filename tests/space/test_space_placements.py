import copy
import math
import pickle
import random
from collections import Counter
from dataclasses import replace

import pytest

from nas_attn.errors import SpaceError
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.space import Limits, SearchSpace


@pytest.fixture(scope="module")
def space(read_rest):
    """2 * 2 * 3 = 12 placements."""
    return read_rest("choices: {encoder.1: [none, se], bottleneck: [se, none], skip.0: [none, gate, cbam]}")


def test_size_is_the_number_of_different_placements(space):
    placements = list(space.placements())
    assert space.size == 12 == len(set(placements))


def test_placements_come_in_order_with_the_last_location_changing_fastest(space):
    varied = [
        f"{texts['encoder.1']} {texts['bottleneck']} {texts['skip.0']}"
        for texts in (placement.to_dict() for placement in space.placements())
    ]
    assert varied[:4] == ["none se none", "none se gate", "none se cbam", "none none none"]
    assert varied[-1] == "se none cbam"


def test_every_placement_is_contained_and_has_all_locations(space):
    for placement in space.placements():
        assert space.contains(placement)
        assert tuple(place for place, _ in placement) == space.network.locations


def test_size_is_exact_where_floats_are_not(read):
    text = "version: 1\nname: x\nnetwork: {family: unet, depth: 5, image_size: 64}\nchoices:\n"
    for stage in ("encoder", "bottleneck", "skip", "decoder"):
        text += (
            f"  {stage}: [none, cbam, scse, {', '.join(f'{{kind: se, reduction: {n}}}' for n in range(1, 31))}]\n"
        )
    assert read(text).size == 33**16
    assert float(33**16) != 33**16


def test_samples_are_uniform(space):
    """Each of 12 placements is expected 500 times of 6000; a standard deviation is 21.4."""
    generator = random.Random(7)
    counts = Counter(space.sample(generator) for _ in range(6000))
    deviation = math.sqrt(6000 * (1 / 12) * (11 / 12))
    assert len(counts) == 12
    assert all(abs(count - 500) < 5 * deviation for count in counts.values())


def test_samples_depend_on_the_generator_alone(space):
    state = random.getstate()
    one, other = random.Random(3), random.Random(3)
    assert [space.sample(one) for _ in range(5)] == [space.sample(other) for _ in range(5)]
    assert random.getstate() == state


def test_index_of_is_the_inverse_of_at(space):
    for number, placement in enumerate(space.placements()):
        indices = space.index_of(placement)
        assert space.at(indices) == placement
        assert [index for index, (_, specs) in zip(indices, space.choices, strict=True) if len(specs) > 1] == [
            number // 6,
            number // 3 % 2,
            number % 3,
        ]


@pytest.mark.parametrize(
    "indices", [(), (0,) * 6, (0,) * 8, (0, 0, 0, 3, 0, 0, 0), (0, 0, -1, 0, 0, 0, 0)], ids=str
)
def test_indices_that_name_no_placement_are_refused(space, indices):
    with pytest.raises(SpaceError, match=r"names no placement; each index must be below its size in \[1, 2, 2, 3"):
        space.at(indices)


def test_a_foreign_placement_has_no_index(space):
    foreign = space.plain.replace(Location.parse("skip.0"), AttentionSpec("se"))
    with pytest.raises(SpaceError, match=r"not in the space 'tried': skip\.0: se is not among the choices"):
        space.index_of(foreign)


def test_plain_need_not_be_contained(space, read_rest):
    assert space.contains(space.plain)
    assert not read_rest("choices: {skip: [gate]}").contains(space.plain)


def test_spaces_are_equal_hashable_and_copied_by_value(space, read_rest):
    assert pickle.loads(pickle.dumps(space)) == space == copy.deepcopy(space)
    assert hash(pickle.loads(pickle.dumps(space))) == hash(space)
    assert space != read_rest("choices: {encoder.1: [none, se]}")


def test_a_space_that_contradicts_itself_cannot_be_made(space):
    with pytest.raises(SpaceError, match="choices must name every location of the network once and in order"):
        replace(space, choices=space.choices[1:])
    with pytest.raises(SpaceError, match=r"encoder\.0: choices must be at least one and all different"):
        replace(space, choices=((space.choices[0][0], ()), *space.choices[1:]))
    with pytest.raises(SpaceError, match="the name must be letters, digits"):
        replace(space, name="../x")
    with pytest.raises(SpaceError, match=r"bottleneck: unknown attention 'se'"):
        replace(space, kinds=tuple(kind for kind in space.kinds if kind.name != "se"))
    with pytest.raises(SpaceError, match="characters that cannot be shown"):
        replace(space, description="\x1b[31m")
    assert isinstance(replace(space, limits=Limits(1)), SearchSpace)
