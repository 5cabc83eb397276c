import pytest

from nas_attn.errors import SpaceError

CASES = {
    "unknown kind": (
        "choices:\n  skip.1: [none, cbm]",
        "line 5: choices.skip.1: unknown attention 'cbm'; did you mean 'cbam'?",
    ),
    "unknown kind in block style": (
        "choices:\n  skip.1:\n  - none\n  - kind: cbm\n",
        "line 7: choices.skip.1.kind: unknown attention 'cbm'; did you mean 'cbam'?",
    ),
    "options in brackets": (
        "choices: {skip: [se(reduction=4)]}",
        "line 4: choices.skip: unknown attention 'se(reduction=4)'; write {kind: se, option: value}",
    ),
    "no kind": (
        "choices: {skip: [{reduction: 4}]}",
        "line 4: choices.skip: the field 'kind' is missing; write {kind: se, reduction: 8}",
    ),
    "null": (
        "choices: {skip: [none, ~]}",
        "line 4: choices.skip: an empty value is not an attention; write a kind such as none or se",
    ),
    "a YAML word": (
        "choices: {skip: [no]}",
        "line 4: choices.skip: false is not an attention; write a kind such as none or se",
    ),
    "a date": (
        "choices: {skip: [2024-02-03]}",
        "line 4: choices.skip: '2024-02-03' is read as a timestamp; put it in quotes",
    ),
    "unknown option": (
        "choices: {skip: [{kind: se, reductoin: 4}]}",
        "line 4: choices.skip.reductoin: se has no option 'reductoin'; did you mean 'reduction'?",
    ),
    "option out of range": (
        "choices: {skip: [{kind: se, reduction: 0}]}",
        "line 4: choices.skip.reduction: se: reduction is 0; it must be a whole number of at least 1",
    ),
    "option of the wrong type": (
        "choices: {skip: [{kind: cbam, bias: 1}]}",
        "line 4: choices.skip.bias: cbam: bias is 1; it must be true | false",
    ),
    "option that is a list": (
        "choices: {skip: [{kind: se, reduction: [1]}]}",
        "line 4: choices.skip.reduction: must be a number or a word, not a list",
    ),
    "option of none": (
        "choices: {skip: [{kind: none, start: paper}]}",
        "line 4: choices.skip.start: none has no option 'start'; it takes none",
    ),
    "option that is not finite": (
        "choices: {skip: [{kind: se, scale: .nan}]}",
        "line 4: choices.skip.scale: nan is not a finite number",
    ),
    "gate in the encoder": (
        "choices: {encoder: [none, gate]}",
        "line 4: choices.encoder: gate cannot stand here: encoders and the bottleneck have no gating signal "
        "(it can be placed at skip and decoder)",
    ),
    "gate in the bottleneck": (
        "choices: {bottleneck: [none, gate]}",
        "line 4: choices.bottleneck: gate cannot stand here: encoders and the bottleneck have no gating signal "
        "(it can be placed at skip and decoder)",
    ),
    "gate at one encoder location": (
        "choices: {encoder.1: [none, gate]}",
        "line 4: choices.encoder.1: gate cannot stand here: encoders and the bottleneck have no gating signal "
        "(it can be placed at skip and decoder)",
    ),
    "a ladder that goes down": (
        "choices: {skip: [none, se]}\nladder: [180, 60]",
        "line 5: ladder: a list must be two or more growing numbers of steps, such as [60, 180, 540]",
    ),
    "a ladder of one rung": (
        "choices: {skip: [none, se]}\nladder: [180]",
        "line 5: ladder: a list must be two or more growing numbers of steps, such as [60, 180, 540]",
    ),
    "a ladder in words": (
        "choices: {skip: [none, se]}\nladder: auto",
        "line 5: ladder: 'auto' must be two or more growing numbers of steps, such as [60, 180, 540]",
    ),
    "no choices": (
        "choices: {}",
        "line 4: choices: must be a mapping such as {skip: [none, gate], bottleneck: [none, se]}",
    ),
    "choices that are a list": (
        "choices: [se]",
        "line 4: choices: must be a mapping such as {skip: [none, gate], bottleneck: [none, se]}",
    ),
    "an empty list": (
        "choices: {skip: []}",
        "line 4: choices.skip: must be a list of attentions such as [none, se], not an empty list",
    ),
    "a word for a list": (
        "choices: {skip: se}",
        "line 4: choices.skip: must be a list of attentions such as [none, se], not 'se'",
    ),
    "a repeated choice": (
        "choices:\n  skip:\n  - none\n  - se\n  - kind: se\n    reduction: 16\n",
        "line 8: choices.skip: se is listed twice, first at line 7; leave one out",
    ),
    "a repeated choice by another way to write a number": (
        "choices: {skip: [{kind: se, scale: 2}, {kind: se, scale: 2.0}]}",
        "line 4: choices.skip: se(scale=2) is listed twice, first at line 4; leave one out",
    ),
    "a repeated choice by a start that changes nothing": (
        "choices: {bottleneck: [pam, {kind: pam, start: identity}]}",
        "line 4: choices.bottleneck: pam is listed twice, first at line 4; leave one out",
    ),
    "unknown stage": (
        "choices: {encodr: [se]}",
        "line 4: choices.encodr: unknown location 'encodr'; did you mean 'encoder'?",
    ),
    "too deep a location": (
        "choices: {skip.2: [se]}",
        "line 4: choices.skip.2: no such location in a U-Net of depth 2; the deepest is skip.1",
    ),
    "level of the bottleneck": (
        "choices: {bottleneck.0: [se]}",
        "line 4: choices.bottleneck.0: unknown location 'bottleneck.0'; write encoder.0, bottleneck, skip.0 or "
        "decoder.0",
    ),
    "leading zero": (
        "choices: {skip.01: [se]}",
        "line 4: choices.skip.01: unknown location; did you mean 'skip.1'?",
    ),
    "unknown field": (
        "choices: {skip: [se]}\nlimit: {}",
        "line 5: limit: unknown field; did you mean 'limits'?",
    ),
    "duplicate field": (
        "choices: {skip: [se]}\nname: again",
        "line 5: name: written twice, first at line 2",
    ),
    "duplicate location": (
        "choices:\n  skip: [se]\n  skip: [none]",
        "line 6: choices.skip: written twice, first at line 5",
    ),
    "unknown start": (
        "choices: {skip: [se]}\nstart: papr",
        "line 5: start: 'papr' must be neutral | paper | identity",
    ),
    "options of an unknown kind": (
        "choices: {skip: [se]}\noptions: {cbm: {bias: true}}",
        "line 5: options.cbm: unknown attention; did you mean 'cbam'?",
    ),
    "options that are a number": (
        "choices: {skip: [se]}\noptions: {se: 8}",
        "line 5: options.se: must be a mapping of options such as {reduction: 8}, not 8",
    ),
    "options that are a list": (
        "choices: {skip: [se]}\noptions: [se]",
        "line 5: options: must be a mapping such as {se: {reduction: 8}}, not a list",
    ),
    "a wrong option of a kind": (
        "choices: {skip: [se]}\noptions:\n  scse:\n    fusion: sum",
        "line 7: options.scse.fusion: scse: fusion is 'sum'; it must be add | max",
    ),
    "positions": (
        "choices: {skip: [se]}\nlimits: {max_positions: 0}",
        "line 5: limits.max_positions: 0 must be a whole number of at least 1",
    ),
    "positions as a truth value": (
        "choices: {skip: [se]}\nlimits: {max_positions: true}",
        "line 5: limits.max_positions: true must be a whole number of at least 1",
    ),
    "ceiling": (
        "choices: {skip: [se]}\nlimits: {max_macs: cheap}",
        "line 5: limits.max_macs: 'cheap' is not a ceiling; write 1.5x (times the baseline), 2.1G, 350M, 40k or "
        "12000",
    ),
    "ceiling below the baseline": (
        "choices: {skip: [se]}\nlimits: {max_parameters: 0.9x}",
        "line 5: limits.max_parameters: a ceiling of 0.9x is not from 1x to 100000x; write 1.5x (times the "
        "baseline), 2.1G, 350M, 40k or 12000",
    ),
    "unknown limit": (
        "choices: {skip: [se]}\nlimits: {max_mac: 2x}",
        "line 5: limits.max_mac: unknown field; did you mean 'max_macs'?",
    ),
    "description": (
        "choices: {skip: [se]}\ndescription: [a]",
        "line 5: description: must be text, not a list",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_a_problem_is_one_line_with_file_line_field_and_mend(read_rest, text, expected):
    with pytest.raises(SpaceError) as caught:
        read_rest(text)
    assert caught.value.problems == (f"f.yaml: {expected}",)


NETWORKS = {
    "not a mapping": (
        "unet",
        "network: must be a mapping of family, depth, in_channels, classes, base_channels, norm, upsampling, "
        "frames, image_size, not 'unet'",
    ),
    "no family": ("{depth: 2}", "network: the field 'family' is missing"),
    "no depth": ("{family: unet}", "network: the field 'depth' is missing"),
    "other family": (
        "{family: vit, depth: 2}",
        "network.family: unknown family 'vit'; known: unet, smp, monai, nnunet, module",
    ),
    "depth": (
        "{family: unet, depth: 9}",
        "network.depth: 9 must be a whole number from 2 to 5",
    ),
    "norm": (
        "{family: unet, depth: 2, norm: layer}",
        "network.norm: 'layer' must be batch | group | instance",
    ),
    "unknown field": (
        "{family: unet, depth: 2, base_chanels: 8}",
        "network.base_chanels: unknown field; did you mean 'base_channels'?",
    ),
    "channels": (
        "{family: unet, depth: 2, base_channels: 65537}",
        "network.base_channels: 65537 must be a whole number from 1 to 65536",
    ),
    "image too small": (
        "{family: unet, depth: 2, image_size: 3}",
        "network.image_size: an image of 3x3 pixels is too small for a depth of 2; both sides must be at least 4",
    ),
    "image size": (
        "{family: unet, depth: 2, image_size: [8, 8, 8]}",
        "network.image_size: must be a whole number from 1 to 65536, or [H, W] of such, not a list",
    ),
    "a mapping for a number": (
        "{family: unet, depth: {a: 2}}",
        "network.depth: must be a whole number from 2 to 5, not a mapping",
    ),
    "not finite": ("{family: unet, depth: .inf}", "network.depth: inf is not a finite number"),
}


@pytest.mark.parametrize(("network", "expected"), NETWORKS.values(), ids=NETWORKS)
def test_a_problem_of_the_network_is_one_line(read, network, expected):
    with pytest.raises(SpaceError) as caught:
        read(f"version: 1\nname: x\nnetwork: {network}\nchoices: {{bottleneck: [se]}}")
    assert caught.value.problems == (f"f.yaml: line 3: {expected}",)


def test_all_problems_are_told_together_in_the_order_of_their_lines(read):
    with pytest.raises(SpaceError) as caught:
        read(
            "version: 1\nname: a b\nnetwork: {family: unet, depth: 7}\nstrat: paper\n"
            "limits: {max_macs: 0x}\nchoices:\n  skip: [cbm, se, se]\n  encoder: [gate]\n"
        )
    lines = [problem.split(": ")[1:3] for problem in caught.value.problems]
    assert lines == [
        ["line 2", "name"],
        ["line 3", "network.depth"],
        ["line 4", "strat"],
        ["line 5", "limits.max_macs"],
        ["line 7", "choices.skip"],
        ["line 7", "choices.skip"],
        ["line 8", "choices.encoder"],
    ]


def test_every_missing_field_is_named(read):
    with pytest.raises(SpaceError) as caught:
        read("start: paper")
    assert caught.value.problems == (
        "f.yaml: line 1: the field 'version' is missing; write version: 1",
        *(f"f.yaml: line 1: the field '{name}' is missing" for name in ("name", "network", "choices")),
    )


@pytest.mark.parametrize(
    ("version", "shown"), [("2", "2"), ("'1'", "'1'"), ("true", "true"), ("~", "an empty value")]
)
def test_a_file_of_another_version_is_not_judged_further(read, version, shown):
    with pytest.raises(SpaceError) as caught:
        read(f"version: {version}\nnonsense: 1\n")
    assert caught.value.problems == (
        f"f.yaml: line 1: version: {shown} is not a version that this nas-attn reads; write 1",
    )


def test_no_more_than_forty_problems_are_told(read_rest):
    with pytest.raises(SpaceError) as caught:
        read_rest("choices:\n  skip:\n" + "".join(f"  - kind{i}\n" for i in range(100)))
    assert len(caught.value.problems) == 41
    assert caught.value.problems[-1] == "f.yaml: and 60 more problems"
