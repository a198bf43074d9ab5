"""From a file to a loaded model: is the file whole, where do its layers go, how much context is there memory for."""

from pathlib import Path
from typing import Final

import psutil

from shared.gguf.facts import Facts, facts_of_file
from shared.gguf.memory import kv_bytes, need_of
from shared.gguf.reader import GgufError
from shared.protocol.messages import Task
from shared.tokens import ModelFileError
from worker.engine.ggml import gpus, load_backends
from worker.engine.llama import Model
from worker.engine.offload import Placement, Weights, place
from worker.engine.variants import NARROW
from worker.engine.wire import Load

MEMORY_SHARE: Final = 0.8
"""How much of the free memory a model takes where the owner named no context."""


def loaded_model(load: Load) -> tuple[Model, Placement, tuple[Task, ...]]:
    """The model, where its layers went, and what it can be asked; raises ModelFileError."""
    path = Path(load.path)
    try:
        facts = facts_of_file(path)
    except GgufError as error:
        raise ModelFileError(f"{path.name} cannot be served: {error}") from error
    load_backends(narrow=0 < facts.key_length < NARROW)
    context = load.context or context_of(facts, load.slots, psutil.virtual_memory().available)
    if context == 0:
        raise ModelFileError(f"there is not enough memory for {path.name}; take fewer slots, or a smaller model")
    placement = placement_of(facts, context * load.slots, load.gpu_bytes)
    model = Model(path, slots=load.slots, context=context, threads=load.threads, placement=placement)
    tasks = tuple(task for task in facts.tasks if task != "generate" or model.writes)
    return model, placement, tasks


def placement_of(facts: Facts, tokens: int, most_bytes: int | None) -> Placement:
    """Where the layers go on this machine with a cache of so many tokens; once the backends are loaded."""
    weights = Weights(facts.layer_bytes, facts.outside_bytes, kv_bytes(facts) // max(1, facts.layers))
    return place(gpus(), weights, tokens=tokens, most_bytes=most_bytes)


def context_of(facts: Facts, slots: int, available: int) -> int:
    """How many tokens of context each slot gets where the owner named none; 0 where there is no room for any."""
    return need_of(facts).largest_context(facts.context, int(available * MEMORY_SHARE), slots)
