"""What OpenAI's Responses API asks for, as the one request of Hive: items, tools, formats, echoes and refusals."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, strategies as st
from openai.types.responses import ResponseItemList
from pydantic import TypeAdapter

from coordinator.openai.responses_body import ResponseBody, check, echo, in_its_words, renamed, submission
from coordinator.openai.responses_compact import Seal
from coordinator.openai.responses_fit import shortened
from coordinator.openai.responses_items import Item, continued, listed, referenced, with_references
from coordinator.openai.responses_output import item_id
from coordinator.submit.request import Submission
from shared.errors import NotFound, RequestError
from shared.protocol.messages import Message

JOB = UUID(int=7)
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."}
FIELDS = [name for name in ResponseBody.__struct_fields__ if name not in ("model", "input")]


def body(**fields: Any) -> ResponseBody:
    raw = msgspec.json.encode({"model": "hive-nano", "input": "Hi", **fields})
    return msgspec.json.decode(raw, type=ResponseBody)


def asked(**fields: Any) -> Submission:
    made = body(**fields)
    with in_its_words():
        check(made)
        return submission(made, continued([], made.items, lambda _: None), dict[str, str]().get)


def said(*items: Any) -> list[Message]:
    return continued([], msgspec.convert(list(items), list[Item]), lambda _: None)


def test_text_is_a_message_of_the_users_behind_the_instructions() -> None:
    got = asked(instructions="Be brief.", max_output_tokens=9, temperature=0.5, seed=3)
    request = got.request
    assert request.messages == [Message("system", "Be brief."), Message("user", "Hi")]
    assert (got.max_tokens, got.seed, request.sampling.temperature) == (9, "3", 500_000)
    assert (got.attached, got.store, got.source) == (True, True, "v1")


def test_nulls_mean_nothing() -> None:
    got = asked(**dict.fromkeys(FIELDS), unknown={"deep": [1]})
    assert msgspec.structs.replace(got, echo=None) == msgspec.structs.replace(asked(), echo=None)
    assert got.echo == asked().echo


def test_items_are_a_conversation() -> None:
    got = said(
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text} for text in "ab"]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
         "content": [{"type": "output_text", "text": "I look.", "annotations": []}, {"type": "refusal", "refusal": "No."}]},
        CALL,
        {**CALL, "call_id": "call_2"},
        {**OUTPUT, "output": [{"type": "input_text", "text": "Rain."}], "call_id": "call_2"},
        OUTPUT,
    )  # fmt: skip
    function = {"name": "weather", "arguments": "{}"}
    calls = [{"id": id_, "type": "function", "function": function} for id_ in ("call_1", "call_2")]
    assert got == [
        Message("system", "Be kind."),
        Message("user", "a\nb"),
        Message("assistant", "I look.\nNo.", tool_calls=calls),
        Message("tool", "Rain.", "weather", "call_2"),
        Message("tool", "Sunny.", "weather", "call_1"),
    ]
    ids = [
        item_id(kind, JOB, place, given=True)
        for place, kind in enumerate(["msg", "msg", "msg", "fc", "fc", "fco", "fco"])
    ]
    items = listed(got, lambda kind, place: item_id(kind, JOB, place, given=True))
    assert [item["id"] for item in items] == ids
    TypeAdapter(ResponseItemList).validate_python(
        {"object": "list", "data": items, "first_id": ids[0], "last_id": ids[-1], "has_more": False}
    )


_texts = st.text(max_size=8)
_item = st.one_of(
    st.builds(
        lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "user", "assistant"]), _texts
    ),
    st.just(CALL),
)


@given(st.lists(_item, max_size=8), st.booleans())
def test_what_a_conversation_lists_is_that_conversation(items: list[Any], answered: bool) -> None:
    once = said(*items, *([OUTPUT] if answered and CALL in items else []))
    told = listed(once, lambda kind, place: f"{kind}_{place}")
    assert said(*told) == once or any(message.content == "" for message in once)


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"role": "king", "content": "a"}], "input[0].role"),
        ([{"role": "tool", "content": "a"}], "input[0].role"),
        ([{"content": "a"}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": [1]}], "input[0].content"),
        ([{"role": "user", "content": {"type": "input_text"}}], "input[0].content"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "input[0].content[0].type"),
        ([{"type": "function_call", "name": "f"}], "input[0]"),
        ([{**CALL, "arguments": {}}], "input[0]"),
        ([OUTPUT], "input[0].call_id"),
        ([CALL, {**OUTPUT, "call_id": None}], "input[1].call_id"),
        ([CALL, {**OUTPUT, "output": 5}], "input[1].output"),
        ([{"type": "computer_call", "call_id": "c", "action": {}}], "input[0].type"),
        ([{"type": "compaction", "encrypted_content": "bm8="}], "input[0].encrypted_content"),
    ],
)
def test_what_is_no_item_is_told_by_its_place(items: list[Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(input=items)
    assert caught.value.param == param
    assert (caught.value.code == "unsupported_parameter") is (param.endswith("type"))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [WEATHER, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm"),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(**fields)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", param)
    kind = next((tool["type"] for tool in fields.get("tools", []) if tool["type"] != "function"), param)
    assert kind in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"background": True, "store": False}, "background"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: ""}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{**WEATHER, "name": "no name"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "s"}}}, "text.format.schema"),
    ],
)
def test_what_is_wrong_has_the_name_that_it_has_here(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(**fields)
    assert (caught.value.param, caught.value.code) == (param, "invalid_request")
    assert "response_format" not in caught.value.message


def test_tools_and_formats_reach_the_model_in_the_shapes_of_a_chat() -> None:
    schema = {"type": "object", "properties": {}}
    got = asked(
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": True}},
    ).request
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert msgspec.json.decode(got.tools or "") == [{"type": "function", "function": function}]
    assert msgspec.json.decode(got.tool_choice or "") == {"type": "function", "function": {"name": "weather"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}}
    assert (msgspec.json.decode(got.response_format or ""), got.parallel_tool_calls) == (wanted, False)
    assert asked(text={"format": {"type": "text"}}).request.response_format is None


def test_of_allowed_tools_the_model_is_told_alone() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}
    got = asked(tools=[{**WEATHER, "name": "other"}, WEATHER], tool_choice=choice).request
    assert [tool["function"]["name"] for tool in msgspec.json.decode(got.tools or "")] == ["weather"]
    assert got.tool_choice == '"required"'


def test_logprobs_are_told_to_who_includes_them() -> None:
    assert asked(top_logprobs=3).request.logprobs is None
    assert asked(top_logprobs=3, include=["message.output_text.logprobs"]).request.logprobs == 3
    assert asked(include=["message.output_text.logprobs", "reasoning.encrypted_content"]).request.logprobs == 0


def test_what_is_not_stored_keeps_no_echo() -> None:
    assert (asked(store=False).echo, asked(store=False).store) == (None, False)
    assert asked(background=True).attached is False
    kept = msgspec.json.decode(asked(metadata={"a": "b"}, user="u").echo or b"")
    assert kept == msgspec.json.decode(msgspec.json.encode(echo(body(metadata={"a": "b"}, user="u"))))
    assert (kept["metadata"], kept["user"], kept["store"], kept["temperature"]) == ({"a": "b"}, "u", True, 1.0)


def test_items_that_are_named_are_put_in() -> None:
    items = msgspec.convert([{"type": "item_reference", "id": "msg_1"}, {"id": "fc_1"}, OUTPUT], list[Item])
    assert referenced(items) == ["msg_1", "fc_1"]
    known = {"msg_1": {"type": "message", "role": "user", "content": "Weather?"}, "fc_1": CALL}
    got = continued([], with_references(items, known), lambda _: None)
    assert [message.role for message in got] == ["user", "assistant", "tool"]
    with pytest.raises(NotFound) as caught:
        with_references(items, {"msg_1": known["msg_1"]})
    assert caught.value.param == "input[1].id"


def test_a_seal_opens_for_its_own_account_alone() -> None:
    mine, other = uuid4(), uuid4()
    sealed = Seal(b"pepper", mine).close("What I said.", b"n" * 24)
    assert Seal(b"pepper", mine).open(sealed) == "What I said."
    assert Seal(b"pepper", other).open(sealed) is None
    assert Seal(b"salt", mine).open(sealed) is None
    assert "What" not in sealed
    for wrong in ("", "?", sealed[:-4], sealed[4:], "AAAA" * 30, "é"):
        assert Seal(b"pepper", mine).open(wrong) is None


@given(st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), min_size=1, max_size=12), st.integers(0, 12))
async def test_a_shortened_conversation_keeps_its_head_and_as_many_turns_as_fit(roles: list[str], most: int) -> None:
    messages = [Message(role, str(place)) for place, role in enumerate(roles)]

    async def fits(some: list[Message]) -> bool:
        return len(some) <= most

    got = await shortened(messages, fits)
    head = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
    assert got[:head] == messages[:head]
    rest = got[head:]
    assert rest == messages[len(messages) - len(rest) :]
    starts = [place for place in range(head + 1, len(roles)) if roles[place] == "user"]
    if len(got) < len(messages):
        assert rest[0].role == "user"
        longer = [place for place in [head, *starts] if place < len(messages) - len(rest)]
        assert all(head + len(messages) - place > most for place in longer)
    assert len(got) <= most or len(rest) == len(messages) - max(starts, default=head)


def test_fields_are_renamed_whole() -> None:
    assert renamed("messages") == "input"
    assert renamed("response_format.json_schema.schema.x") == "text.format.schema.x"
    assert renamed("tools[0].function.parameters") == "tools[0].parameters"
    assert renamed("max_tokens_of_mine") == "max_tokens_of_mine"
