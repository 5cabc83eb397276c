"""Context encoding module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention._forward_cache import ForwardCache
from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._precise import as_weights_of, precise, without_autocast
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="encnet",
    title="context encoding module",
    paper="Zhang et al. 2018, arXiv:1803.08904",
    family=Family.CONTEXT,
    options=(
        Option("codewords", 32, "K, prototypes with which the positions are compared", minimum=1),
        Option(
            "variant",
            "paper",
            "paper: codes are summed and x is rescaled; code: codes are averaged, x is kept and rectified",
            choices=("paper", "code"),
        ),
        Option("loss_weight", 0.2, "of the loss that asks which classes are in the image; 0: none", minimum=0),
    ),
    takes_classes=True,
    neutral_start=True,
)


@attention(KIND)
class ContextEncoding(nn.Module):
    """Reweight channels by how the map differs from learned prototypes (Zhang et al. 2018, arXiv:1803.08904,
    section 3.1).

        e_k = sum_i softmax_k(-s_k |z_i - d_k|^2) (z_i - d_k),  z = relu(BN(conv_1x1(x)))
        y = x * sigmoid(W sum_k relu(BN(e_k)) + b)          neutral: y = x * 2 sigmoid(...)

    Batch normalisation of the codes has one mean and variance for each codeword, over images and channels. e_k is
    a sum over all positions, so its running statistics fit one image size only. ``variant=code`` follows the
    authors' code: it averages over k and returns relu(x + x * sigmoid(...)), for maps that come out of a relu
    (neutral: two thirds of it). Both variants have the convolution before the codes, which is that of the authors'
    code.

    In training the code also has to predict which classes are in the image (the semantic encoding loss of
    section 3.2): a linear map of the code, binary cross-entropy, weight 0.2. It does not affect y.

    Args:
        channels: C of the input.
        classes: number of classes; None leaves out the semantic encoding loss.
        codewords: K.
        variant: ``paper`` or ``code``.
        loss_weight: weight of the semantic encoding loss; 0 leaves it out.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W and N * C must be at least 2 in training. Memory grows with
        (C + K) * H * W, because the differences to all codewords are never stored.
    Raises:
        AttentionError: ``channels`` or ``classes`` is below 1, an option is not allowed, or a batch in training is
            a single image with a 1x1 map or with one channel.
    """

    def __init__(
        self,
        channels: int,
        classes: int | None = None,
        codewords: int = 32,
        variant: Literal["paper", "code"] = "paper",
        loss_weight: float = 0.2,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv_norm = nn.BatchNorm2d(channels)
        self.encoding = CodewordEncoding(channels, codewords)
        self.code_norm = nn.BatchNorm1d(codewords)
        self.excite = from_zero(nn.Linear(channels, channels), neutral)
        self.gain = (2.0 if variant == "paper" else 2 / 3) if neutral else 1.0
        self.presence = nn.Linear(channels, classes) if classes and loss_weight else None
        self.variant = variant
        self.loss_weight = loss_weight
        self.kept = ForwardCache()

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        if self.training and x.shape[0] * x.shape[1] == 1:
            raise AttentionError(
                "encnet cannot be trained on a single image with one channel: batch normalisation of its codes "
                "needs more than one value; use at least 2 images in a batch or more channels"
            )
        features = functional.relu(self.conv_norm(self.conv(x)))
        encoded = as_weights_of(self.code_norm, self.encoding(features.flatten(2)))
        codes = functional.relu(self.code_norm(encoded))
        code = codes.sum(1) if self.variant == "paper" else codes.mean(1)
        if self.training and self.presence is not None:
            self.kept.keep(self.presence(code))
        weights = self.excite(code).sigmoid()[:, :, None, None].to(x.dtype)
        if self.variant == "paper":
            return x * scaled(weights, self.gain)
        return functional.relu(x * scaled(1 + weights, self.gain))

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        """The semantic encoding loss of the latest forward pass in training.

        Args:
            masks: class indices, (N, H, W); or, where classes may overlap, 0 and 1 for each class, (N, K, H, W).
            scores: not used.
        """
        kept = self.kept.take()
        if not kept:
            return masks.new_zeros((), dtype=torch.float32)
        asked = precise(kept[0])
        held = (masks[:, index] == 1 if masks.ndim == 4 else masks == index for index in range(asked.shape[1]))
        there = torch.stack([one.flatten(1).any(1) for one in held], 1)
        return self.loss_weight * functional.binary_cross_entropy_with_logits(asked, there.to(asked.dtype))


class CodewordEncoding(nn.Module):
    """Sum the differences of the positions to K codewords, each position mostly for its nearest codewords.

        e_k = sum_i a_ik (z_i - d_k) = sum_i a_ik z_i - d_k sum_i a_ik
        a_ik = softmax_k(-s_k |z_i - d_k|^2),  |z - d|^2 = |z|^2 - 2 z . d + |d|^2

    Computed in float32 or better for every precision of z and the weights. In a float16 module, the ``code_norm``
    that follows must stay float32 if the codes, which are sums over all positions, or their variances exceed
    65504. The start is that of the authors' code: codewords within 1 / sqrt(K C) of 0, smoothing factors s between
    0 and 1.

    Args:
        channels: C.
        codewords: K.
    Shape: (N, C, P) -> (N, K, C) for P positions.
    """

    def __init__(self, channels: int, codewords: int) -> None:
        super().__init__()
        self.codewords = nn.Parameter(torch.empty(codewords, channels))
        self.smoothing = nn.Parameter(torch.empty(codewords))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw codewords and smoothing factors."""
        bound = self.codewords.numel() ** -0.5
        nn.init.uniform_(self.codewords, -bound, bound)
        nn.init.uniform_(self.smoothing, 0, 1)

    def forward(self, features: Tensor) -> Tensor:
        with without_autocast(features.device.type):
            features, codewords = precise(features), precise(self.codewords)
            products = torch.matmul(codewords, features)
            lengths = codewords.square().sum(1)[:, None]
            distances = features.square().sum(1, keepdim=True) - 2 * products + lengths
            weights = (-precise(self.smoothing)[:, None] * distances).softmax(1)
            return torch.bmm(weights, features.transpose(1, 2)) - weights.sum(2, keepdim=True) * codewords
