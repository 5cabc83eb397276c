"""What every registered attention must keep to, with every choice of its options and from both starts."""

from __future__ import annotations

import copy
import inspect
import io

import pytest
import torch
from torch import Tensor, nn

from nas_attn.errors import AttentionError
from nas_attn.models.attention import Fade, build_attention
from nas_attn.models.attention._neutral import draw_anew
from nas_attn.models.catalogue import KINDS, catalogue
from nas_attn.models.kind import START, Family
from nas_attn.models.placement import AttentionSpec
from nas_attn.training.metrics import count_macs
from nas_attn.training.module_hooks import AuxiliaryLoss

CHANNELS, GATE_CHANNELS, BLOCK_CHANNELS, CLASSES, FRAMES = 8, 12, 6, 3, 3
SIZES = [(7, 5), (2, 8)]

# A key's bias adds the same to all that a softmax compares, and it does not see it.
WITHOUT_EFFECT = dict.fromkeys(("pam", "danet", "nonlocal", "linear"), ("key.bias",))


def _specs() -> list[AttentionSpec]:
    """The defaults, each listed value of each option, and a small value of each number; from every start."""
    found = []
    for kind in catalogue().values():
        varied = [{}]
        for option in kind.options:
            flags = (True, False) if isinstance(option.default, bool) else (2,)
            varied += [{option.name: value} for value in option.choices or flags]
        starts = START.choices if START in kind.all_options else [None]
        found += [kind.spec(options | ({"start": s} if s else {})) for options in varied for s in starts]
    return sorted(set(found), key=str)


def _marks(spec: AttentionSpec) -> tuple[pytest.MarkDecorator, ...]:
    """What differs from the defaults both in an option and in the start is slow."""
    options = dict(spec.options)
    return (pytest.mark.slow,) if "start" in options and len(options) > 1 else ()


every_spec = pytest.mark.parametrize(
    "spec", [pytest.param(spec, marks=_marks(spec), id=str(spec)) for spec in _specs()]
)
every_kind = pytest.mark.parametrize("name", list(KINDS))
every_half = pytest.mark.parametrize(
    ("dtype", "share"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)], ids=["bfloat16", "float16"]
)
every_mode = pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])


class Beside(nn.Module):
    """A module that is given, as a second input, the convolution or block at whose place it stands."""

    def __init__(self, module: nn.Module, entering: int, leaving: int) -> None:
        super().__init__()
        self.module, self.entering, self.leaving = module, entering, leaving

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x, self.plain)

    def plain(self, x: Tensor) -> Tensor:
        kernel = torch.linspace(-1, 1, self.leaving * self.entering, device=x.device, dtype=x.dtype).sin()
        return nn.functional.conv2d(x, kernel.view(self.leaving, self.entering, 1, 1))


def _new(spec: AttentionSpec, channels: int = CHANNELS) -> nn.Module:
    """The module as it starts, to be called with what ``_inputs`` gives."""
    entering = min(channels, BLOCK_CHANNELS)
    module = build_attention(
        spec, channels, GATE_CHANNELS, block_channels=entering, classes=CLASSES, frames=FRAMES
    )
    family = catalogue()[spec.kind].family
    if family is Family.BLOCK:
        return Beside(module, entering, channels)
    if family is Family.CONVOLUTION and isinstance(module, Fade):
        return Beside(module, channels, channels)
    return module


def _build(spec: AttentionSpec, channels: int = CHANNELS) -> nn.Module:
    """The module with fixed weights; what starts at zero is moved away from it."""
    torch.manual_seed(0)
    module = _new(spec, channels)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.count_nonzero():
                parameter.normal_(std=0.05)
    return module


def _inputs(spec: AttentionSpec, images: int, height: int, width: int, channels: int = CHANNELS) -> list[Tensor]:
    """A feature map and, where the kind needs it, its gating signal; both differ strongly between images.

    Where the kind takes clips, so many clips.
    """
    generator = torch.Generator().manual_seed(1)
    block = catalogue()[spec.kind].family is Family.BLOCK
    images *= _frames(spec.kind)
    shapes = [(images, min(channels, BLOCK_CHANNELS) if block else channels, height, width)]
    if catalogue()[spec.kind].needs_gate:
        shapes.append((images, GATE_CHANNELS, max(1, height // 2), max(1, width // 2)))
    return [
        torch.randn(shape, generator=generator) + 2 * torch.randn(shape[:2], generator=generator)[:, :, None, None]
        for shape in shapes
    ]


def _frames(kind: str) -> int:
    """Images that belong together."""
    return FRAMES if catalogue()[kind].needs_clip else 1


def _step_loss(module: nn.Module, inputs: list[Tensor]) -> Tensor:
    """A loss of the output, and what the module or one inside it adds to the loss of a step."""
    output = module(*inputs)
    generator = torch.Generator().manual_seed(5)
    masks = torch.randint(0, CLASSES, (len(inputs[0]), 4, 4), generator=generator)
    scores = torch.rand(len(inputs[0]), generator=generator)
    losses = [child.own_loss(masks, scores) for child in module.modules() if isinstance(child, AuxiliaryLoss)]
    return sum(losses, output.float().square().sum())


def _refusal(module: nn.Module, inputs: list[Tensor]) -> str | None:
    try:
        module(*inputs)
    except AttentionError as error:
        return str(error)
    return None


@every_mode
@pytest.mark.parametrize("size", SIZES, ids=str)
@every_spec
def test_shape_and_dtype_are_kept_and_the_input_is_left_alone(spec, size, training):
    inputs = _inputs(spec, 2, *size)
    before = [tensor.clone() for tensor in inputs]
    output = _build(spec).train(training)(*inputs)
    assert output.shape == (2 * _frames(spec.kind), CHANNELS, *size)
    assert output.dtype == inputs[0].dtype
    assert torch.isfinite(output).all()
    assert all(torch.equal(old, new) for old, new in zip(before, inputs, strict=True))


@every_mode
@every_spec
def test_one_channel_will_do(spec, training):
    inputs = _inputs(spec, 2, 5, 4, channels=1)
    assert _build(spec, channels=1).train(training)(*inputs).shape == (2 * _frames(spec.kind), 1, 5, 4)


@every_mode
@every_spec
def test_one_image_will_do(spec, training):
    assert torch.isfinite(_build(spec).train(training)(*_inputs(spec, 1, 5, 4))).all()


@every_mode
@pytest.mark.parametrize("images", [1, 2])
@every_spec
def test_map_of_one_position_works_or_is_refused_in_words(spec, images, training):
    module = _build(spec).train(training)
    inputs = _inputs(spec, images, 1, 1)
    refusal = _refusal(module, inputs)
    if refusal is None:
        assert torch.isfinite(module(*inputs)).all()
    else:
        assert refusal.startswith(spec.kind)
        assert "at least 2" in refusal
        assert training or "oktay" in refusal
        assert images == 1 or "oktay" in refusal


@every_spec
def test_every_parameter_gets_a_gradient(spec):
    module = _build(spec).eval()  # in training, a bias before batch normalisation has no effect
    inputs = [tensor.requires_grad_() for tensor in _inputs(spec, 8, 6, 6)]
    module(*inputs).square().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.count_nonzero() for tensor in inputs)
    if any(isinstance(child, AuxiliaryLoss) for child in module.modules()):
        _step_loss(module.train(), inputs).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith(WITHOUT_EFFECT.get(spec.kind, "-")):
            assert parameter.grad.count_nonzero(), name


@every_spec
def test_gradients_are_finite_in_training(spec):
    module = _build(spec).train()
    inputs = [tensor.requires_grad_() for tensor in _inputs(spec, 2, 6, 5)]
    _step_loss(module, inputs).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())


@every_spec
def test_dead_and_constant_channels_give_finite_gradients(spec):
    inputs = _inputs(spec, 2, 6, 5)
    inputs[0][:, 0], inputs[0][:, 1] = 0, 3
    inputs[0].requires_grad_()
    _build(spec).train()(*inputs).square().sum().backward()
    assert torch.isfinite(inputs[0].grad).all()


@every_spec
def test_evaluation_is_repeatable_and_keeps_no_memory(spec):
    module, inputs = _build(spec).eval(), _inputs(spec, 2, 6, 5)
    state = copy.deepcopy(module.state_dict())
    first = module(*inputs)
    module(*_inputs(spec, 3, 4, 4))
    assert torch.equal(module(*inputs), first)
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())


@every_spec
def test_images_do_not_see_one_another_in_evaluation(spec):
    module, inputs = _build(spec).eval(), _inputs(spec, 3, 6, 5)
    each = zip(*(tensor.split(_frames(spec.kind)) for tensor in inputs), strict=True)
    alone = torch.cat([module(*one) for one in each])
    torch.testing.assert_close(alone, module(*inputs))


@every_spec
def test_copy_computes_the_same_and_shares_no_weights(spec):
    module, inputs = _build(spec).eval(), _inputs(spec, 2, 6, 5)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(*inputs), module(*inputs))
    mine = {parameter.data_ptr() for parameter in module.parameters()}
    assert mine.isdisjoint(parameter.data_ptr() for parameter in twin.parameters())


@every_spec
def test_saved_weights_load_into_a_fresh_module(spec):
    module, inputs = _build(spec), _inputs(spec, 2, 6, 5)
    module.train()(*inputs)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    torch.manual_seed(99)
    fresh = _new(spec)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh.eval()(*inputs), module.eval()(*inputs))


@every_spec
def test_resetting_every_owner_of_parameters_gives_a_new_module(spec):
    module = _build(spec)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(5)
    torch.manual_seed(3)
    for owner in module.modules():
        if any(True for _ in owner.parameters(recurse=False)):
            draw_anew(owner)
    torch.manual_seed(3)
    new = _new(spec)
    for name, tensor in new.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name


@every_mode
@pytest.mark.parametrize(
    "spec", [spec for spec in _specs() if dict(spec.options).get("start") == "identity"], ids=str
)
def test_identity_start_changes_nothing_bit_for_bit_and_can_learn(spec, training):
    torch.manual_seed(0)  # a narrow layer's ReLU may be silent everywhere, by chance
    module, inputs = _new(spec).train(training), _inputs(spec, 2, 7, 6)
    output = module(*inputs)
    if not isinstance(module, Beside):
        assert torch.equal(output, inputs[0])
    elif isinstance(module.module, Fade):
        assert torch.equal(output, module.plain(inputs[0]))
    else:  # its own start, exact to rounding
        torch.testing.assert_close(output, module.plain(inputs[0]), rtol=0, atol=1e-5)
    teaches = any(isinstance(child, AuxiliaryLoss) for child in module.modules())
    (_step_loss(module.train(), inputs) if teaches else output.square().sum()).backward()
    assert any(parameter.grad is not None and parameter.grad.count_nonzero() for parameter in module.parameters())


@every_kind
def test_a_kind_says_whether_its_own_start_is_the_identity(name):
    torch.manual_seed(0)
    kind = catalogue()[name]
    spec = AttentionSpec(name, () if name == "none" else (("start", "paper"),))
    module, inputs = _new(spec), _inputs(spec, 2, 6, 6)
    unchanged = module.plain(inputs[0]) if isinstance(module, Beside) else inputs[0]
    assert torch.allclose(module(*inputs), unchanged, rtol=0, atol=1e-5) == kind.starts_as_identity
    assert not any(isinstance(child, Fade) for child in module.modules())


def _sizes(name: str) -> dict[str, int]:
    kind = catalogue()[name]
    gate, block = {"gate_channels": 4} if kind.needs_gate else {}, {"block_channels": 4}
    clip = {"frames": FRAMES} if kind.needs_clip else {}
    return {"channels": 4} | gate | (block if kind.family is Family.BLOCK else {}) | clip


@every_kind
def test_options_of_the_facts_are_those_of_the_constructor(name):
    kind, module = catalogue()[name], KINDS[name].module
    parameters = inspect.signature(module).parameters
    sizes = list(_sizes(name)) + ["classes"] * kind.takes_classes
    assert list(parameters)[: len(sizes)] == sizes
    own = {key: parameter.default for key, parameter in parameters.items() if key not in sizes}
    assert own.pop("neutral", None) == (False if kind.neutral_start else None)
    assert own == {option.name: option.default for option in kind.options}
    assert all(type(own[option.name]) is type(option.default) for option in kind.options)


@every_kind
def test_constructor_checks_its_options_itself(name):
    for option in catalogue()[name].options:
        with pytest.raises(AttentionError, match=rf"^{name}: {option.name} is 'wrong'; it must be "):
            KINDS[name].module(**_sizes(name), **{option.name: "wrong"})


@every_kind
def test_unknown_option_is_named(name):
    with pytest.raises(AttentionError, match=rf"^{name} has no option 'rediction'; "):
        _new(AttentionSpec(name, (("rediction", 8),)))


@every_kind
def test_facts_are_complete(name):
    kind = catalogue()[name]
    assert kind.stages
    assert kind.title
    assert bool(kind.paper) == (name != "none")
    assert all(option.about and option.problem(option.default) is None for option in kind.options)
    assert inspect.getdoc(KINDS[name].module)


@every_kind
def test_a_kind_is_quadratic_exactly_where_its_cost_outgrows_the_map(name):
    kind = catalogue()[name]
    module = _new(AttentionSpec(name), CHANNELS)
    entering = BLOCK_CHANNELS if kind.family is Family.BLOCK else CHANNELS

    def macs(side: int) -> int:
        shapes = [(_frames(name), entering, side, side)] + [
            (1, GATE_CHANNELS, side // 2, side // 2)
        ] * kind.needs_gate
        return count_macs(module, *shapes)

    assert (macs(64) > 5 * macs(32)) == kind.quadratic


@every_mode
@every_spec
def test_channels_last_computes_the_same(spec, training):
    inputs = _inputs(spec, 2, 6, 5)
    expected = _build(spec).train(training)(*inputs)
    module = _build(spec).train(training).to(memory_format=torch.channels_last)
    output = module(*(tensor.contiguous(memory_format=torch.channels_last) for tensor in inputs))
    torch.testing.assert_close(output, expected)
    assert output.is_contiguous(memory_format=torch.channels_last)


@every_spec
def test_bfloat16_autocast_stays_near_and_in_its_precision(spec):
    inputs = _inputs(spec, 2, 6, 5)
    expected = _build(spec)(*inputs)
    module = _build(spec)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(*(tensor.bfloat16().requires_grad_() for tensor in inputs))
    assert output.dtype == torch.bfloat16
    assert (output.float() - expected).norm() < 0.05 * expected.norm()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = _step_loss(module, [tensor.bfloat16().requires_grad_() for tensor in inputs])
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())


@every_half
@every_spec
def test_half_precision_stays_near_float32_and_in_its_precision(spec, dtype, share):
    module = _build(spec).to(dtype).eval()
    inputs = [tensor.to(dtype) for tensor in _inputs(spec, 2, 6, 5)]
    output = module(*inputs)
    assert output.dtype == dtype
    exact = copy.deepcopy(module).float()(*(tensor.float() for tensor in inputs))
    assert (output.float() - exact).norm() < share * exact.norm()


@every_spec
def test_bfloat16_gives_finite_gradients_in_training(spec):
    """Not float16: its range is too small for gradients, unless a loss is scaled."""
    module = _build(spec).bfloat16().train()
    _step_loss(module, [tensor.bfloat16().requires_grad_() for tensor in _inputs(spec, 2, 6, 5)]).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_spec
def test_step_can_be_captured_as_a_cuda_graph(spec):
    module = _build(spec).cuda().train()
    inputs = [tensor.cuda().requires_grad_() for tensor in _inputs(spec, 2, 6, 6)]
    masks = torch.zeros(len(inputs[0]), 4, 4, dtype=torch.uint8, device="cuda")
    scores = torch.linspace(0.2, 0.8, len(inputs[0]), device="cuda")
    leaves = [*inputs, *module.parameters()]

    def step() -> tuple[Tensor, ...]:
        with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
            output = module(*inputs)
        loss = output.float().square().sum() + sum(
            child.own_loss(masks, scores) for child in module.modules() if isinstance(child, AuxiliaryLoss)
        )
        return output, *torch.autograd.grad(loss, leaves)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        expected = [step() for _ in range(3)][-1]
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    graph.replay()
    for replayed, eager in zip(captured, expected, strict=True):
        assert (replayed - eager).float().norm() <= 0.05 * eager.float().norm() + 0.1
