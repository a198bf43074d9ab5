"""Train hive-nano: `python -m deploy.nano.train --work DIR`; goes on from the last checkpoint in that folder.

Needs PyTorch, tokenizers and numpy; the same seed on the same machine gives the same model.
"""

import argparse
import ctypes
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from deploy.nano.batches import BATCH_TOKENS, LENGTHS, Batch, batches, texts
from deploy.nano.loss import WeightedLoss
from deploy.nano.model import Llama, Shape
from deploy.nano.tokens import trained_tokenizer

VOCABULARY = 4096
TOKENIZER_TEXTS = 30_000
CONVERSATIONS_A_CHUNK = 20_000
BATCHES_A_STEP = 2
WARM_UP = 100
DECAY = 0.6
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
MATRIX_RATE, OTHER_RATE = 4e-3, 3e-3


def tokenizer_in(work: Path, seed: int) -> Tokenizer:
    """The tokenizer of this run, trained if it is not there yet."""
    path = work / "tokenizer.json"
    if not path.exists():
        trained_tokenizer(texts(seed, TOKENIZER_TEXTS), VOCABULARY).save(str(path))
    return Tokenizer.from_file(str(path))


def rate_at(step: int, steps: int) -> float:
    """The share of the full learning rate: warm-up, a plateau, then down to nothing in a straight line."""
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (DECAY * steps))


def precision_on(device: torch.device) -> torch.dtype:
    """What matrices are multiplied in: bfloat16 where the device can, since it is three times slower where it cannot."""
    able = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if able else torch.float32


def loss_of(model: Llama, compiled: torch.nn.Module, ids: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of the negative log likelihood, in nats."""
    precision = precision_on(ids.device)
    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=precision is torch.bfloat16):
        features = compiled(ids[:, :-1])
    counted = weights[:, 1:].flatten() > 0
    targets, weights = ids[:, 1:].flatten()[counted], weights[:, 1:].flatten()[counted]
    return WeightedLoss.apply(features.flatten(0, 1)[counted], model.token_embd.weight, targets, weights, precision)


def gradients(model: Llama, compiled: torch.nn.Module, batch: Batch, total: float) -> tuple[float, tuple[Tensor, ...]]:
    """The batch's part of the mean loss, and of the gradient of each parameter."""
    device = model.cos.device
    ids, weights = torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.weights).to(device)
    loss = loss_of(model, compiled, ids, weights) / total
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


def optimizers_of(model: Llama) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the rest."""
    matrices = [p for p in model.blk.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if not any(p is m for m in matrices)]
    return [
        *(
            torch.optim.Muon(half, lr=MATRIX_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
            for half in (matrices[::2], matrices[1::2])
        ),
        torch.optim.AdamW(rest, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


class Run:
    """A training run: the model, its optimizers and the number of steps done."""

    def __init__(self, model: Llama, optimizers: list[torch.optim.Optimizer], path: Path) -> None:
        """Go on from the checkpoint at the path if there is one."""
        self.model, self.optimizers, self.path = model, optimizers, path
        self.step, self.chunk = 0, 0
        self.compiled = torch.compile(model, dynamic=True)
        self.threads = ThreadPoolExecutor(BATCHES_A_STEP)
        if path.exists():
            saved: dict[str, Any] = torch.load(path, weights_only=True)
            model.load_state_dict(saved["model"])
            for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            self.step, self.chunk = saved["step"], saved["chunk"] + 1

    def save(self) -> None:
        """Write the checkpoint in one move."""
        state = {
            "model": self.model.state_dict(),
            "shape": asdict(self.model.shape),
            "step": self.step,
            "chunk": self.chunk,
            "optimizers": [o.state_dict() for o in self.optimizers],
        }
        torch.save(state, self.path.with_suffix(".new"))
        self.path.with_suffix(".new").replace(self.path)

    def compile(self, lengths: tuple[int, ...]) -> None:
        """Meet batches of these lengths once, so that threads find the compiled code ready."""
        for length in lengths:
            rows = max(1, BATCH_TOKENS // length)
            batch = Batch(np.ones((rows, length), dtype=np.int64), np.ones((rows, length), dtype=np.float32))
            gradients(self.model, self.compiled, batch, float(BATCH_TOKENS))
            print(f"ready for texts of {length} tokens", flush=True)

    def advance(self, group: list[Batch], share: float) -> float:
        """One step on a few batches at this share of the learning rates; the mean loss of a counted token."""
        total = float(sum(b.weights[:, 1:].sum() for b in group))
        parts = list(self.threads.map(lambda batch: gradients(self.model, self.compiled, batch, total), group))
        for parameter, *grads in zip(self.model.parameters(), *(grads for _, grads in parts), strict=True):
            parameter.grad = torch.stack(grads).sum(0)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for settings in optimizer.param_groups:
                settings["lr"] = share * (MATRIX_RATE if isinstance(optimizer, torch.optim.Muon) else OTHER_RATE)
        list(self.threads.map(lambda optimizer: optimizer.step(), self.optimizers))
        self.step += 1
        return sum(loss for loss, _ in parts)


def keep_freed_memory() -> None:
    """Have glibc reuse large blocks, since asking the system for zeroed pages again costs a third of a step."""
    libc = ctypes.CDLL(None)
    if sys.platform == "linux" and hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)


def train(work: Path, seed: int, steps: int) -> None:
    """Train to so many steps, with a checkpoint every 100 and a line of progress every 20."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # each batch of a step has a thread of its own; operators that split wait for each other
    tokenizer = tokenizer_in(work, seed)
    model = Llama(Shape(vocabulary=tokenizer.get_vocab_size())).to(device)
    run = Run(model, optimizers_of(model), work / "checkpoint.pt")
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {device}", flush=True)
    run.compile(LENGTHS)
    began, tokens = time.monotonic(), 0
    while run.step < steps:
        data = batches(seed + 1000 + run.chunk, CONVERSATIONS_A_CHUNK, tokenizer)
        for at in range(0, min(len(data) - BATCHES_A_STEP + 1, BATCHES_A_STEP * (steps - run.step)), BATCHES_A_STEP):
            group = data[at : at + BATCHES_A_STEP]
            loss = run.advance(group, rate_at(run.step, steps))
            tokens += sum(int((b.weights > 0).sum()) for b in group)
            if run.step % 20 == 0:
                seconds = time.monotonic() - began
                print(
                    f"step {run.step}/{steps} loss {loss:.4f} {tokens / seconds:.0f} tokens/s {seconds:.0f} s",
                    flush=True,
                )
            if run.step % 100 == 0:
                run.save()
        run.chunk += 1
    run.save()


def main() -> None:
    """Read the options and train."""
    options = argparse.ArgumentParser(description="Train hive-nano.")
    options.add_argument("--work", type=Path, required=True, help="folder of the tokenizer and the checkpoint")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--steps", type=int, default=2400)
    chosen = options.parse_args()
    keep_freed_memory()
    chosen.work.mkdir(parents=True, exist_ok=True)
    train(chosen.work, chosen.seed, chosen.steps)


if __name__ == "__main__":
    main()
