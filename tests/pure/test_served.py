"""Who serves what, counted as workers come and go: always what a count of all of them would say."""

from collections.abc import Iterable

import msgspec
from hypothesis import given, strategies as st

from coordinator.match.rules import ModelFacts, WorkerFacts
from coordinator.match.served import NOBODY, Served, Serving

MODELS = ["a", "b", "c"]
facts_of_a_model = st.builds(
    ModelFacts,
    digest=st.just("0" * 64),
    context=st.just(2048),
    loaded=st.booleans(),
    weak=st.booleans(),
    tasks=st.frozensets(st.sampled_from(["generate", "embed", "rank"]), min_size=1),
    vision=st.booleans(),
)
worker = st.builds(
    WorkerFacts,
    pk=st.sampled_from("1234"),
    cell=st.just(0),
    countries=st.frozensets(st.sampled_from(["IT", "FR", "DE"])),
    tier=st.just(0),
    evidence=st.just(0),
    models=st.dictionaries(st.sampled_from(MODELS), facts_of_a_model),
    slots=st.just(1),
    jobs=st.booleans(),
)


def recounted(workers: Iterable[WorkerFacts], model: str) -> Serving:
    having = [worker for worker in workers if worker.jobs and model in worker.models]
    offers = [worker.models[model] for worker in having]
    return Serving(
        workers=len(having),
        loaded=sum(offer.loaded for offer in offers),
        countries=tuple(sorted({country for worker in having for country in worker.countries})),
        tasks=frozenset(task for offer in offers for task in offer.tasks),
        vision=any(offer.vision for offer in offers),
        seeded=any(not offer.weak for offer in offers),
    )


@given(st.lists(st.one_of(worker, st.sampled_from("1234")), max_size=30))
def test_counts_are_those_of_everybody_online(moves: list[WorkerFacts | str]) -> None:
    served, online = Served(), dict[str, WorkerFacts]()
    for move in moves:
        if isinstance(move, str):
            served.drop(move)
            online.pop(move, None)
        else:
            served.put(move)
            online[move.pk] = move
        assert {model: served.of(model) for model in MODELS} == {
            model: recounted(online.values(), model) for model in MODELS
        }


def test_nobody_serves_what_nobody_has() -> None:
    assert Served().of("a") == NOBODY == msgspec.structs.replace(Serving())
