import math
from pathlib import Path

import pytest

from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Stage
from nas_attn.space import read_space

SHIPPED = Path(__file__).parents[2] / "search_spaces"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
THE_EIGHT = {"none", "se", "eca", "cbam", "scse", "ca", "gate", "pam"}


@pytest.fixture(scope="module")
def known():
    return catalogue()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_space_opens_with_its_command_and_says_for_whom_it_is(name, known):
    path = SHIPPED / f"{name}.yaml"
    space = read_space(path, known)
    data = " --data clips" if space.network.frames > 1 else ""
    assert path.read_text().startswith(f"# nas-attn search --space {name}{data} --trials 200\n")
    assert space.name == name
    assert len(space.description) > 60
    assert "for " in space.description


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("image_size", [16, 64, 128, 256, 512])
def test_the_plain_u_net_is_in_every_shipped_space_at_every_image_size(name, image_size, known):
    space = read_space(SHIPPED / f"{name}.yaml", known, image_size=image_size)
    assert space.contains(space.plain)


def test_unet_attention_has_thirteen_locations_and_every_kind_wherever_it_may_stand(known):
    """At 64 px H*W is 4096 at level 0, so pam may stand everywhere: 7 choices without gate and 8 with it."""
    space = read_space(SHIPPED / "unet_attention.yaml", known, image_size=64)
    assert len(space.locations) == 13
    for location, specs in space.choices:
        gated = location.stage in (Stage.SKIP, Stage.DECODER)
        assert {spec.kind for spec in specs} == (THE_EIGHT if gated else THE_EIGHT - {"gate"})
        assert not any(spec.options for spec in specs)
    assert space.size == 7**5 * 8**8


def test_unet_attention_drops_pam_at_full_resolution_of_128_pixels(known):
    space = read_space(SHIPPED / "unet_attention.yaml", known, image_size=128)
    assert [f"{gone.location} {gone.spec}" for gone in space.dropped] == [
        "encoder.0 pam",
        "skip.0 pam",
        "decoder.0 pam",
    ]
    assert space.size == 6 * 7**4 * (7 * 8**3) ** 2


def test_unet_attention_skips_leaves_the_rest_of_the_network_alone(known):
    space = read_space(SHIPPED / "unet_attention_skips.yaml", known, image_size=64)
    assert {location.stage for location, specs in space.choices if len(specs) > 1} == {Stage.SKIP}
    assert space.size == 8**4


def test_unet_attention_small_can_be_searched_exhaustively(known):
    space = read_space(SHIPPED / "unet_attention_small.yaml", known)
    assert space.size == len({placement.id for placement in space.placements()}) == 432
    assert str(space.size) in space.description
    assert math.prod(len(specs) for _, specs in space.choices) == 432


def test_unet_attention_full_has_each_of_its_kinds_wherever_it_may_stand(known):
    """A kind that is added later does not change what the studies of a shipped space mean."""
    space = read_space(SHIPPED / "unet_attention_full.yaml", known, image_size=64)
    named = {spec.kind for _, specs in space.choices for spec in specs}
    assert f"All {len(named)} kinds" in space.description
    assert len(named) == 37
    for location, specs in space.choices:
        assert {spec.kind for spec in specs} == {name for name in named if location.stage in known[name].stages}


def test_unet_attention_clips_adds_what_looks_at_clips_to_the_eight(known):
    space = read_space(SHIPPED / "unet_attention_clips.yaml", known, image_size=64)
    temporal = {"tam", "gltr"}
    assert all(known[name].needs_clip for name in temporal)
    for location, specs in space.choices:
        gated = location.stage in (Stage.SKIP, Stage.DECODER)
        assert {spec.kind for spec in specs} == (THE_EIGHT if gated else THE_EIGHT - {"gate"}) | temporal
