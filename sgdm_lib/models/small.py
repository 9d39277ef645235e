"""Small networks, for experiments that finish on a laptop."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from sgdm_lib import checks

HIDDEN = 64


class MLP(nn.Module):
    """One hidden layer of 64 rectified units: ``logits = W2 relu(W1 x + b1) + b2``.

    The image is flattened. PyTorch's default initialisation (uniform, bound 1/sqrt(inputs)).
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(math.prod(shape), HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class CNN(nn.Module):
    """Three 3x3 convolutions (16, 32, 64 channels), means over the four quarters, a linear layer.

    The second and third convolution have stride 2; the first has stride 2 from 64x64 pixels on, so
    that 32x32 and 64x64 images cost the same 5.7 MFLOP forward (8x8: 0.4). Without BatchNorm the
    loss of a batch is the mean of its samples' losses, as the theory assumes; with it
    (``cnn_bn``: after each convolution, which then has no bias) the net survives the papers'
    learning rates, and the full gradient depends on how it is measured, as in the papers.
    PyTorch's default initialisation. Images of at least 8x8 pixels.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        channels, height, width = shape
        checks.integer("smaller side of the image", min(height, width), at_least=8, fix="use mlp")
        stride = 2 if min(height, width) >= 64 else 1
        bias = not batch_norm
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, stride=stride, bias=bias)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2, bias=bias)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, stride=2, bias=bias)
        self.bn1, self.bn2, self.bn3 = (
            nn.BatchNorm2d(width) if batch_norm else nn.Identity() for width in (16, 32, 64)
        )
        self.fc = nn.Linear(4 * 64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        height, width = x.shape[2] // 2, x.shape[3] // 2  # an odd last row or column is left out
        x = F.avg_pool2d(x[..., : 2 * height, : 2 * width], (height, width))
        return self.fc(x.flatten(1))
