"""Recurrent attention model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._equalised import EqualisedLinear
from nas_attn.models.attention._forward_cache import ForwardCache
from nas_attn.models.attention._layout import in_layout_of
from nas_attn.models.attention._noise import StepNoise
from nas_attn.models.attention._precise import precise, precisely, without_autocast
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._sample import sample
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

REDUCED = 16
"""Channels of the map that the glimpses look at."""
HIDDEN = 96
"""Width of the recurrent core."""
SPREAD = 0.25
"""Standard deviation of the places that are drawn in training, in halves of the map."""
FIRST_SHARE = 0.1
"""First weight of the glimpses in the output; with 0 the reward would not depend on where they look."""

KIND = AttentionKind(
    name="ram",
    title="recurrent attention model",
    paper="Mnih et al. 2014, arXiv:1406.6247",
    family=Family.STOCHASTIC,
    stages=BLOCK_STAGES,
    options=(
        Option("glimpses", 4, "T, places that are looked at, one after the other", minimum=1, maximum=16),
        Option("side", 8, "g, of a glimpse, in positions of the map", minimum=2, maximum=32),
        Option(
            "scales", 3, "k, glimpses around one place, each twice as wide as the one before", choices=(1, 2, 3)
        ),
        Option(
            "explore",
            0.4,
            "share of the training in which it looks anywhere, less and less often, to learn to see first",
            minimum=0,
        ),
    ),
)


@attention(KIND)
class RecurrentAttention(nn.Module):
    """Look at a few places of the map, one after the other, and refine the features there (Mnih et al. 2014,
    arXiv:1406.6247, section 3).

        l_t ~ N(tanh(W_l h_(t-1) + b_l), 0.25^2), at its mean in evaluation       h_0 learned
        h_t = GRU(relu(W_g glimpse(s, l_t) + W_p l_t + b_g), h_(t-1))             s = standardised(W_1 x)
        y = x + W_2 gamma sum_t paste(refine(crop(s, l_t), h_t), l_t)

    A glimpse is k crops of g x g around l_t, from maps of a full, a half and a quarter of the resolution. The
    paper classifies from h_T and returns no map. A U-Net needs a map: a small convolution, whose channels h_t
    scales and shifts, refines the crop of full resolution, and the result is added where the crop was taken. All
    other positions stay unchanged. W_1 leads to 16 channels. The core is a GRU instead of a plain recurrence.

    The places have no gradient from the segmentation loss. They learn from how well each image was segmented, R_n
    from 0 to 1 (REINFORCE, section 3.1), with a baseline b_t = W_b h_(t-1) that predicts R:

        mean_n sum_t -(R_n - b_nt) log N(l_nt) + (b_nt - R_n)^2

    The gradient of the policy continues into the core, which otherwise would have no reason to remember where to
    look. The paper does without the following; in the recipe of a search the policy did not learn without it:

    - Layers with equalised learning rates. The noise of REINFORCE drove the common direction of plain layers until
      the state was the same for all images and the policy was stuck in a corner.
    - s with mean 0 in each channel of each image and a common variance of 1. This leaves next to nothing to drive
      that common direction.
    - The density N of the place as it was drawn, before it is clamped to the map.
    - ``explore``: at first nearly every glimpse is at a place drawn uniformly, from which the policy learns
      nothing. So the reward means something by the time the policy decides.

    The variance is high: the module finds one bright object among dim ones in 500 steps, but expect little where
    many things look alike or runs are short. The random numbers depend only on the seed and the step.

    Args:
        channels: C of the input.
        glimpses: T.
        side: g.
        scales: k.
        explore: share of the training over which the chance of a uniformly drawn place falls to 0; 0 as in the
            paper.
    Shape: (N, C, H, W) -> (N, C, H, W); of its cost, only W_1, W_2 and the pasting grow with H * W.
    Raises:
        AttentionError: ``channels`` is below 1 or an option is not allowed.
    """

    exploring: Tensor

    def __init__(
        self, channels: int, glimpses: int = 4, side: int = 8, scales: int = 3, explore: float = 0.4
    ) -> None:
        super().__init__()
        self.glimpses, self.side, self.scales, self.explore = glimpses, side, scales, explore
        self.reduce = nn.Conv2d(channels, REDUCED, 1)
        self.see = EqualisedLinear(scales * REDUCED * side**2, HIDDEN, gain=math.sqrt(2))
        self.place = EqualisedLinear(2, HIDDEN, bias=False)
        self.core = Core(HIDDEN)
        self.policy = EqualisedLinear(HIDDEN, 2, from_zero=True)
        self.foretell = EqualisedLinear(HIDDEN, 1, from_zero=True)
        self.refine = Refinement(HIDDEN)
        self.restore = nn.Conv2d(REDUCED, channels, 1, bias=False)
        self.first = nn.Parameter(torch.empty(HIDDEN))
        self.share = nn.Parameter(torch.empty(()))
        self.register_buffer("exploring", torch.zeros(()), persistent=False)
        self.noise = StepNoise()
        self.kept = ForwardCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set h_0 to 0 and gamma to its small first value."""
        nn.init.zeros_(self.first)
        nn.init.constant_(self.share, FIRST_SHARE)

    def begin_step(self, step: Tensor, steps: int, key: int) -> None:
        """Set the chance of a uniformly drawn place, which falls from step to step."""
        self.exploring.copy_((1 - (step[0] + 1) / (self.explore * steps + 1)).clamp(min=0))

    def forward(self, x: Tensor) -> Tensor:
        with without_autocast(x.device.type):
            seen = _standardised(precisely(self.reduce, precise(x)))
            added = precisely(self.restore, precise(self.share) * self._looked(seen))
        return in_layout_of(x, x + added.to(x.dtype))

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        """The auxiliary loss that trains the policy and its baseline, from the latest forward pass in training.

        Args:
            masks: not used.
            scores: how well each image was segmented; (N,).
        """
        kept = self.kept.take()
        if not kept:
            return scores.new_zeros(())
        chances, foretold = kept
        reward = scores[:, None]
        policy = -((reward - foretold.detach()) * chances).sum(1)
        return (policy + (foretold - reward).square().sum(1)).mean()

    def _looked(self, seen: Tensor) -> Tensor:
        """Sum of the refined crops, each where it was taken: (N, 16, H, W) -> (N, 16, H, W)."""
        pyramid = self._pyramid(seen)
        state = precise(self.first) + seen.new_zeros(seen.shape[0], 1)
        found, chances, foretold = torch.zeros_like(seen), [], []
        for drawn in self._drawn(seen):
            centre = precisely(self.policy, state).tanh()
            foretold.append(precisely(self.foretell, state.detach()))
            where, chance = self._chosen(centre, drawn)
            chances.append(chance)
            glimpse = torch.cat([self._crop(level, where) for level in pyramid], 1)
            told = precisely(self.see, glimpse.flatten(1)) + precisely(self.place, where)
            state = precisely(self.core, functional.relu(told), state)
            refined = precisely(self.refine, glimpse[:, :REDUCED], state)
            found = found + self._pasted(refined, where, seen)
        if self.training:
            self.kept.keep(torch.cat(chances, 1), torch.cat(foretold, 1))
        return found

    def _pyramid(self, seen: Tensor) -> list[Tensor]:
        """The map at a full, a half, a quarter ... of its resolution."""
        levels = [seen]
        for _ in range(self.scales - 1):
            levels.append(functional.avg_pool2d(levels[-1], 2, ceil_mode=True, count_include_pad=False))
        return levels

    def _drawn(self, seen: Tensor) -> Sequence[Tensor | None]:
        """Seven numbers from 0 to 1 per image, (N, 7), for each of T glimpses; None for each in evaluation."""
        if not self.training:
            return [None] * self.glimpses
        return self.noise.uniform(seen.new_empty(seen.shape[0], self.glimpses, 7)).to(seen.dtype).unbind(1)

    def _chosen(self, centre: Tensor, drawn: Tensor | None) -> tuple[Tensor, Tensor]:
        """A place to look at, and the logarithm of the policy's density there, up to a constant.

        The density is that of the place before it is clamped to the map: only this has a gradient with mean 0. For
        a uniformly drawn place the logarithm is 0, because the policy did not choose it.

        Shape: (N, 2), (N, 7) -> (N, 2), from -1 to 1 and without a gradient; (N, 1).
        """
        if drawn is None:
            return centre.detach(), torch.zeros_like(centre[:, :1])
        aimed = centre.detach() + SPREAD * _normal(drawn[:, :2], drawn[:, 2:4])
        anywhere = (drawn[:, 4:5] < self.exploring).to(aimed.dtype)
        chance = -((aimed - centre) / SPREAD).square().sum(1, keepdim=True) / 2
        return torch.lerp(aimed.clamp(-1, 1), 2 * drawn[:, 5:] - 1, anywhere), chance * (1 - anywhere)

    def _crop(self, level: Tensor, where: Tensor) -> Tensor:
        """g x g positions around a place, zeros beyond the map: (N, 16, h, w), (N, 2) -> (N, 16, g, g)."""
        steps = torch.arange(self.side, device=level.device) - (self.side - 1) / 2
        rows, columns = self._middle(level, where)
        shape = (-1, self.side, self.side)
        down = (rows[:, None, None] + steps[:, None].to(rows)).expand(shape)
        across = (columns[:, None, None] + steps.to(columns)).expand(shape)
        return sample(level, down, across, "zeros")

    def _pasted(self, crop: Tensor, where: Tensor, seen: Tensor) -> Tensor:
        """A crop put back where it was taken, zeros around it: (N, 16, g, g), (N, 2) -> (N, 16, H, W)."""
        height, width = seen.shape[2:]
        rows, columns = self._middle(seen, where)
        middle, shape = (self.side - 1) / 2, (-1, height, width)
        down = torch.arange(height, device=seen.device)[:, None].to(rows) - rows[:, None, None] + middle
        across = torch.arange(width, device=seen.device).to(columns) - columns[:, None, None] + middle
        return sample(crop, down.expand(shape), across.expand(shape), "zeros")

    def _middle(self, level: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of a place on a map; -1 and 1 are its borders."""
        height, width = level.shape[2:]
        return (where[:, 0] + 1) / 2 * height - 0.5, (where[:, 1] + 1) / 2 * width - 0.5


def _standardised(x: Tensor) -> Tensor:
    """x with mean 0 in each channel of each image, and variance 1 in each image."""
    return functional.group_norm(x - x.mean((2, 3), keepdim=True), 1)


def _normal(one: Tensor, other: Tensor) -> Tensor:
    """Normal numbers, each from two uniform ones (Box and Muller 1958)."""
    return (-2 * one.log()).sqrt() * (2 * math.pi * other).cos()


class Core(nn.Module):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) of equalised layers.

        h' = (1 - z) tanh(n_x + r n_h) + z h,  r = sigmoid(r_x + r_h),  z = sigmoid(z_x + z_h)

    Args:
        width: width of input and state.
    Shape: (N, width), (N, width) -> (N, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_input = EqualisedLinear(width, 3 * width)
        self.of_state = EqualisedLinear(width, 3 * width)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = self.of_input(x).chunk(3, 1), self.of_state(state).chunk(3, 1)
        new = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
        return torch.lerp(new, state, (z_x + z_h).sigmoid())


class Refinement(nn.Module):
    """Two convolutions of a crop; between them, a state scales and shifts each channel.

    Args:
        hidden: width of the state.
    Shape: (N, 16, g, g), (N, hidden) -> (N, 16, g, g).
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(REDUCED, REDUCED, 3, padding=1)
        self.told = EqualisedLinear(hidden, 2 * REDUCED)
        self.second = nn.Conv2d(REDUCED, REDUCED, 3, padding=1)

    def forward(self, crop: Tensor, state: Tensor) -> Tensor:
        scale, shift = self.told(state)[:, :, None, None].chunk(2, 1)
        refined: Tensor = self.second(functional.relu(self.first(crop) * (1 + scale) + shift))
        return refined
