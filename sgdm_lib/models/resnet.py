"""Residual networks for small images: the papers' ResNet-18, and WideResNet-28-10."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: ``relu(BN(conv(relu(BN(conv(x))))) + shortcut(x))``.

    The shortcut is the identity, or a 1x1 convolution with BatchNorm where shape changes.

    Source: He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, CVPR 2016, Fig. 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                _conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H/stride, W/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """The CIFAR variant of ResNet-18: a 3x3 stem of 64 channels and no pooling before the blocks.

    Four stages of two basic blocks with 64, 128, 256, 512 channels and strides 1, 2, 2, 2, global
    average pooling and a linear layer. With 3 channels and 100 classes: 11,220,132 parameters in
    62 tensors; at 32x32 1.11 GFLOP forward. Both papers use it. PyTorch's default initialisation.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, 64, 3)
        self.bn1 = nn.BatchNorm2d(64)
        blocks: list[nn.Module] = []
        inputs = 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean(dim=(2, 3)))


class WideBlock(nn.Module):
    """Pre-activation block: BatchNorm and ReLU come before each of the two 3x3 convolutions.

    Where the shape changes, the shortcut is a 1x1 convolution of the pre-activated input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        changes = stride != 1 or inputs != outputs
        self.shortcut = _conv(inputs, outputs, 1, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, H, W) to (n, outputs, H/stride, W/stride)."""
        y = F.relu(self.bn1(x))
        if self.shortcut is not None:
            x = self.shortcut(y)
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + x


class WideResNet(nn.Module):
    """Wide residual network: 16-channel stem, three stages of (16, 32, 64) x width channels.

    ``depth = 6 n + 4`` gives n pre-activation blocks a stage; strides 1, 2, 2. No dropout.
    WRN-28-10 with 100 classes has 36,536,884 parameters. PyTorch's default initialisation.

    Source: Zagoruyko, Komodakis, *Wide Residual Networks*, BMVC 2016, Table 1.
    """

    def __init__(self, channels: int, classes: int, depth: int = 28, width: int = 10) -> None:
        super().__init__()
        self.conv1 = _conv(channels, 16, 3)
        blocks: list[nn.Module] = []
        inputs = 16
        for base, stride in ((16, 1), (32, 2), (64, 2)):
            for index in range((depth - 4) // 6):
                blocks.append(WideBlock(inputs, base * width, stride if index == 0 else 1))
                inputs = base * width
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, C, H, W) to logits (n, classes)."""
        x = F.relu(self.bn(self.blocks(self.conv1(x))))
        return self.fc(x.mean(dim=(2, 3)))
