"""The Llama architecture in the few lines that training needs; rotary pairs are neighbours, as llama.cpp has them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the network; widths are multiples of 32, the block of Q8_0."""

    vocabulary: int
    width: int = 256
    layers: int = 5
    heads: int = 8
    hidden: int = 768
    context: int = 2048
    rope_base: float = 10000.0
    epsilon: float = 1e-5


class Norm(nn.Module):
    """Root mean square normalisation with a gain."""

    def __init__(self, width: int, epsilon: float) -> None:
        """Start with a gain of one."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """The input at unit mean square, times the gain."""
        wide = x.float()
        return wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


def rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines, [context, head width / 2]."""
    half = shape.width // shape.heads // 2
    angles = torch.outer(torch.arange(shape.context).float(), shape.rope_base ** (-torch.arange(half).float() / half))
    return angles.cos(), angles.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Heads [batch, heads, time, width] turned by their position."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return turned.flatten(-2).to(x.dtype)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; written out for short texts, where the fused kernel's way back is slow on a processor."""
    if q.is_cuda or q.shape[2] > 512:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    future = torch.full((q.shape[2], q.shape[2]), -1e9, dtype=q.dtype).triu(1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + future
    return scores.softmax(-1, dtype=v.dtype) @ v


class Block(nn.Module):
    """Causal attention and a gated feed-forward network, each on a residual path."""

    def __init__(self, shape: Shape) -> None:
        """Make the weights; the outputs of both paths start small."""
        super().__init__()
        self.heads = shape.heads
        self.attn_norm = Norm(shape.width, shape.epsilon)
        self.ffn_norm = Norm(shape.width, shape.epsilon)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = (
            nn.Linear(shape.width, shape.width, bias=False) for _ in range(4)
        )
        self.ffn_gate, self.ffn_up = (nn.Linear(shape.width, shape.hidden, bias=False) for _ in range(2))
        self.ffn_down = nn.Linear(shape.hidden, shape.width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                out = name.startswith(("attn_output", "ffn_down"))
                nn.init.normal_(parameter, std=0.02 / (2 * shape.layers) ** 0.5 if out else 0.02)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The residual stream [batch, time, width] after this block."""
        h = self.attn_norm(x)
        q, k, v = (
            f(h).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.attn_q, self.attn_k, self.attn_v)
        )
        seen = attended(rotated(q, cos, sin), rotated(k, cos, sin), v)
        x = x + self.attn_output(seen.transpose(1, 2).flatten(2))
        h = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Llama(nn.Module):
    """Token ids [batch, time] to features [batch, time, width]; the embeddings also tell the next token from them."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        """Make the weights from the random state of torch."""
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.token_embd.weight, std=0.02)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.width, shape.epsilon)
        cos, sin = rotations(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """What the last layer knows at each position, [batch, time, width]."""
        x = self.token_embd(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blk:
            x = block(x, cos, sin)
        features: Tensor = self.output_norm(x)
        return features
