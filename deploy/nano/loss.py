"""Cross-entropy over a vocabulary, in slices that stay in the cache, with its gradient made on the way."""

from typing import Any

import torch
from torch import Tensor

_SLICE = 256


class WeightedLoss(torch.autograd.Function):
    """The weighted sum of the negative log likelihoods, in nats.

    Takes features [n, width], embeddings [vocabulary, width], targets [n], weights [n] and what to multiply in.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, features: Tensor, embeddings: Tensor, targets: Tensor, weights: Tensor, precision: torch.dtype
    ) -> Tensor:
        """The sum; keeps the gradients with respect to features and embeddings."""
        x, w = features.to(precision), embeddings.to(precision)
        x_gradient, w_gradient = torch.empty_like(x), torch.zeros_like(embeddings, dtype=torch.float32)
        total = torch.zeros((), device=x.device)
        for at in range(0, len(x), _SLICE):
            rows, target, weight = x[at : at + _SLICE], targets[at : at + _SLICE, None], weights[at : at + _SLICE, None]
            logits = (rows @ w.T).float()
            norm = logits.logsumexp(-1, keepdim=True)
            total += ((norm - logits.gather(1, target)) * weight).sum()
            chance = (logits - norm).exp_().scatter_add_(1, target, torch.full_like(weight, -1.0))
            error = (chance * weight).to(precision)
            x_gradient[at : at + _SLICE] = error @ w
            w_gradient += error.T @ rows
        ctx.save_for_backward(x_gradient, w_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore[override]
        """The kept gradients, scaled."""
        x_gradient, w_gradient = ctx.saved_tensors
        return x_gradient * gradient, w_gradient * gradient, None, None, None
