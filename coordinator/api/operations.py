"""The routes of the public API, with the structs that they really read and write and the headers that they heed."""

from typing import Final

import msgspec

from coordinator.answer.cache import HEADER as CACHE
from coordinator.anthropic.messages import CountBody, MessagesBody
from coordinator.api.callbacks import CallbackJson, CallbackList, WebhookSecret
from coordinator.api.earned import Earned
from coordinator.api.guards import Guards
from coordinator.api.job_body import JobBody
from coordinator.api.offered import Offered, OfferedList
from coordinator.api.own_key import OwnKey
from coordinator.api.owner import Link, LinkBody
from coordinator.api.shown import ShownWorker, SwarmStatus, WorkerList
from coordinator.api.usage import Balance, Usage
from coordinator.api.views import JobCreated, JobJson, JobList
from coordinator.api.why import WhyJob
from coordinator.api.why_idle import Why
from coordinator.guard.gate import HEADER as GUARD
from coordinator.openai.batch_object import BatchObject
from coordinator.openai.batches import BatchBody
from coordinator.openai.chat import ChatBody
from coordinator.openai.completions import CompletionBody
from coordinator.openai.embeddings import EmbeddingBody
from coordinator.openai.files import FileDeleted, FileObject
from coordinator.openai.lists import Page
from coordinator.openai.moderations import ModerationBody
from coordinator.openai.rerank import RerankBody
from coordinator.openai.responses_body import ResponseBody
from coordinator.openai.token_counter import Counted, CounterBody
from coordinator.submit.placement import HEADERS
from coordinator.thehive.v2 import TaskBody
from shared.receipt import SignedReceipt


class Operation(msgspec.Struct, frozen=True):
    """One route: `answer` None is a stream or a shape of OpenAI's, which `says` names; `query` and `headers` are what it takes
    besides a body."""

    method: str
    path: str
    says: str
    status: int = 200
    body: type | None = None
    answer: type | None = None
    public: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


_ASKED: Final = (*HEADERS.values(), GUARD, "idempotency-key")
"""What says where and by whom a request may be answered, what looks at it first, and what makes it the same again."""
_ANSWERED: Final = (*_ASKED, CACHE)
_PAGE_OF: Final = ("limit", "cursor")
OPERATIONS: Final = (
    Operation(
        "post", "/v1/chat/completions", "OpenAI's chat completion, streamed or whole", body=ChatBody, headers=_ANSWERED
    ),
    Operation(
        "post",
        "/v1/completions",
        "OpenAI's older text completion, streamed or whole",
        body=CompletionBody,
        headers=_ANSWERED,
    ),
    Operation("post", "/v1/messages", "Anthropic's message, streamed or whole", body=MessagesBody, headers=_ANSWERED),
    Operation("post", "/v1/messages/count_tokens", "How many tokens a message's prompt has", body=CountBody),
    Operation(
        "post",
        "/v1/responses",
        "OpenAI's response: streamed, whole or in the background",
        body=ResponseBody,
        headers=_ANSWERED,
    ),
    Operation("get", "/v1/responses/{response_id}", "A response, or its events", query=("stream", "starting_after")),
    Operation("delete", "/v1/responses/{response_id}", "Forget a response, its prompt and its text"),
    Operation("post", "/v1/responses/{response_id}/cancel", "Cancel a response that is made in the background"),
    Operation(
        "get",
        "/v1/responses/{response_id}/input_items",
        "What a response was made from",
        query=("limit", "order", "after"),
    ),
    Operation(
        "post", "/v1/responses/compact", "A conversation made short by its model", body=ResponseBody, headers=_ANSWERED
    ),
    Operation("post", "/v1/responses/input_tokens", "How many tokens a model would read", body=ResponseBody),
    Operation("post", "/v1/embeddings", "OpenAI's embeddings: texts as vectors", body=EmbeddingBody, headers=_ASKED),
    Operation(
        "post",
        "/v1/rerank",
        "Documents by how well they answer a query, as Cohere and Jina do",
        body=RerankBody,
        headers=_ASKED,
    ),
    Operation(
        "post",
        "/v1/moderations",
        "OpenAI's moderations: a guard model's verdicts on texts",
        body=ModerationBody,
        headers=_ASKED,
    ),
    Operation("get", "/v1/models", "The models that a worker serves now; all=true for all", query=("all",)),
    Operation("get", "/v1/models/{model_id}", "One model", answer=Offered),
    Operation(
        "post",
        "/v1/utils/token_counter",
        "How many tokens a model would read, counted and not estimated",
        body=CounterBody,
        answer=Counted,
    ),
    Operation("get", "/v1/model/info", "The model that is named", answer=Offered, query=("model",)),
    Operation("post", "/v1/files", "Upload a file for a batch: a form with file and purpose", answer=FileObject),
    Operation("get", "/v1/files", "The account's files", answer=Page, query=("purpose", "order", "limit", "after")),
    Operation("get", "/v1/files/{file_id}", "A file", answer=FileObject),
    Operation("get", "/v1/files/{file_id}/content", "The bytes of a file, or a range of them", headers=("range",)),
    Operation("delete", "/v1/files/{file_id}", "Delete a file", answer=FileDeleted),
    Operation(
        "post",
        "/v1/batches",
        "Answer all requests of a file within a day",
        body=BatchBody,
        answer=BatchObject,
        headers=(*HEADERS.values(), GUARD),
    ),
    Operation("get", "/v1/batches", "The account's batches, the newest first", answer=Page, query=("limit", "after")),
    Operation("get", "/v1/batches/{batch_id}", "A batch", answer=BatchObject),
    Operation("post", "/v1/batches/{batch_id}/cancel", "End a batch; what is done of it stays", answer=BatchObject),
    Operation("post", "/hive/jobs", "Submit a job", status=201, body=JobBody, headers=_ASKED, answer=JobCreated),
    Operation("get", "/hive/jobs", "The account's jobs, the newest first", answer=JobList, query=("status", *_PAGE_OF)),
    Operation("get", "/hive/jobs/{job_id}", "A job", answer=JobJson),
    Operation("delete", "/hive/jobs/{job_id}", "Cancel a job", answer=JobJson),
    Operation("get", "/hive/jobs/{job_id}/events", "Follow a job: server-sent events status, token, done, error"),
    Operation(
        "get", "/hive/jobs/{job_id}/why", "Why a job waits, by counts, and what became of its attempts", answer=WhyJob
    ),
    Operation("get", "/hive/key", "What the key that this is sent with may do, and what is left", answer=OwnKey),
    Operation(
        "get",
        "/hive/usage",
        "What the account used, by day, key and model, as JSON or CSV",
        answer=Usage,
        query=("from", "to", "by", "format"),
    ),
    Operation("get", "/hive/balance", "What the account has left, and the key's budget of it", answer=Balance),
    Operation("get", "/hive/callbacks", "The account's callbacks", answer=CallbackList, query=("state", *_PAGE_OF)),
    Operation("post", "/hive/callbacks/{job_id}/replay", "Send a callback again", answer=CallbackJson),
    Operation("get", "/hive/webhook-secret", "The secret that callbacks are signed with", answer=WebhookSecret),
    Operation("post", "/hive/webhook-secret/rotate", "Sign with a new one, for a day with both", answer=WebhookSecret),
    Operation(
        "post", "/api/v3/chat/completions", "thehive's V3; with callback_url a task", body=ChatBody, headers=_ANSWERED
    ),
    Operation(
        "post", "/api/v2/task/async", "thehive's V2: a task, told of at its callback_url", body=TaskBody, headers=_ASKED
    ),
    Operation("get", "/hive/receipts/{job_id}", "The signed receipt of a job", answer=SignedReceipt, public=True),
    Operation("get", "/hive/status", "The swarm in numbers", answer=SwarmStatus, public=True),
    Operation(
        "get", "/hive/models", "Every model of the catalogue, and who serves it now", answer=OfferedList, public=True
    ),
    Operation(
        "get", "/hive/guards", "The guards that x-hive-guard may name, and what they miss", answer=Guards, public=True
    ),
    Operation("get", "/hive/workers", "Every worker seen within a day", answer=WorkerList, public=True),
    Operation("get", "/hive/workers/{pk}", "One worker", answer=ShownWorker, public=True),
    Operation("get", "/hive/workers/{pk}/earnings", "What a worker earned; signed by the worker", answer=Earned),
    Operation("get", "/hive/workers/{pk}/why", "Why a worker gets no jobs; signed by the worker", answer=Why),
    Operation(
        "post",
        "/hive/workers/{pk}/owner",
        "Link a worker, which signs, to the key's account",
        body=LinkBody,
        answer=Link,
    ),
    Operation("delete", "/hive/workers/{pk}/owner", "Part them again: by signature or by key", answer=Link),
    Operation("get", "/health", "Whether the coordinator serves", public=True),
)
