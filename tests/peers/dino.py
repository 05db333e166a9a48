"""DINOv2's vision transformer in PyTorch with the published keys. Sources: Oquab et al. 2023; Darcet et al. 2023 (registers)."""

import torch
import torch.nn.functional as F
from torch import nn


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, n, width = x.shape
        qkv = self.qkv(x).reshape(batch, n, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*qkv.unbind(0))
        return self.proj(mixed.transpose(1, 2).reshape(batch, n, width))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.mlp = Attention(width, heads), Mlp(width, 4 * width)
        self.ls1, self.ls2 = LayerScale(width), LayerScale(width)

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Tower(nn.Module):
    """`forward` gives the class token behind the last norm, `hidden` all tokens before it. `antialias` goes with registers."""

    def __init__(self, width=768, layers=12, heads=12, side=518, patch=14, registers=4):
        super().__init__()
        self.patch, self.grid = patch, side // patch
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + self.grid**2, width) * 0.02)
        self.register_tokens = nn.Parameter(torch.randn(1, registers, width) * 1e-6) if registers else None
        self.patch_embed = PatchEmbed(width, patch)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, 1e-6)
        self.kept = None

    def positions(self, rows, columns):
        """For patches of a grid; kept when no gradient is wanted, as a program for inference would."""
        if self.kept is not None and self.kept[0] == (rows, columns) and not torch.is_grad_enabled():
            return self.kept[1]
        places = self.pos_embed[:, 1:]
        if (rows, columns) != (self.grid, self.grid):
            maps = places.reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
            if self.register_tokens is None:
                scale = tuple((n + 0.1) / self.grid for n in (rows, columns))
                maps = F.interpolate(maps, scale_factor=scale, mode="bicubic")
            else:
                maps = F.interpolate(maps, size=(rows, columns), mode="bicubic", antialias=True)
            places = maps.permute(0, 2, 3, 1).flatten(1, 2)
        self.kept = ((rows, columns), places.detach())
        return places

    def hidden(self, x):
        places = self.positions(x.shape[2] // self.patch, x.shape[3] // self.patch)
        patches = self.patch_embed(x) + places
        tokens = [self.cls_token + self.pos_embed[:, :1], self.register_tokens]
        tokens = [token.expand(x.shape[0], -1, -1) for token in tokens if token is not None]
        x = torch.cat([*tokens, patches], 1)
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, x):
        return self.norm(self.hidden(x)[:, 0])
