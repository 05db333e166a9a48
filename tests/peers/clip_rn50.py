"""CLIP's RN50 image tower in PyTorch. Structure: Radford et al. 2021, section 2.4."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(inputs, outputs, kernel, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class Bottleneck(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.narrow, self.look, self.widen = conv(inputs, planes, 1), conv(planes, planes, 3), conv(planes, 4 * planes, 1)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        shortcut = stride > 1 or inputs != 4 * planes
        self.shortcut = nn.Sequential(self.pool, conv(inputs, 4 * planes, 1)) if shortcut else nn.Identity()

    def forward(self, x):
        y = self.pool(F.relu(self.look(F.relu(self.narrow(x)))))
        return F.relu(self.widen(y) + self.shortcut(x))


class Tower(nn.Module):
    def __init__(self, layers=(3, 4, 6, 3), width=64, side=224, out=1024):
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, width // 2, 3, 2), nn.ReLU(), conv(width // 2, width // 2, 3), nn.ReLU(),
            conv(width // 2, width, 3), nn.ReLU(), nn.AvgPool2d(2),
        )
        blocks, inputs = [], width
        for i, count in enumerate(layers):
            for block in range(count):
                blocks.append(Bottleneck(inputs, width << i, 2 if i > 0 and block == 0 else 1))
                inputs = 4 * (width << i)
        self.stages = nn.Sequential(*blocks)
        self.positions = nn.Parameter(torch.randn((side // 32) ** 2 + 1, inputs) * inputs**-0.5)
        self.q, self.k, self.v = (nn.Linear(inputs, inputs) for _ in range(3))
        self.out, self.heads = nn.Linear(inputs, out), inputs // 64

    def forward(self, x):
        tokens = self.stages(self.stem(x)).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + self.positions
        split = lambda y: y.unflatten(2, (self.heads, 64)).transpose(1, 2)
        q, k, v = split(self.q(tokens[:, :1])), split(self.k(tokens)), split(self.v(tokens))
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).flatten(2)[:, 0])
