"""The chat template: ChatML with the tools section of Hermes, as it stands in the model file."""

from collections.abc import Sequence

from jinja2 import Environment, Template

from deploy.nano.samples import Message, Tool

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    IM_START,
    IM_END,
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<tools>",
    "</tools>",
)

_HEAD = """\
{%- set first = messages[0] if messages else none %}
{%- set system = first['content'] if first and first['role'] == 'system' else '' %}
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if system %}
        {{- system + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n" }}
    {{- "You are provided with function signatures within <tools></tools> XML tags:\\n<tools>" }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within " }}
    {{- "<tool_call></tool_call> XML tags:\\n<tool_call>\\n" }}
    {{- '{"name": <function-name>, "arguments": <args-json-object>}' }}
    {{- '\\n</tool_call><|im_end|>\\n' }}
{%- elif system %}
    {{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}
{%- endif %}
"""
_BODY = """\
{%- for message in messages %}
    {%- if message['role'] == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1]['role'] != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message['content'] + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1]['role'] != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message['content'] %}
            {{- message['content'] }}
        {%- endif %}
        {%- for call in message['tool_calls'] or [] %}
            {%- if message['content'] or not loop.first %}
                {{- '\\n' }}
            {%- endif %}
            {%- set function = call['function'] or call %}
            {{- '<tool_call>\\n{"name": "' + function['name'] + '", "arguments": ' }}
            {{- function['arguments'] if function['arguments'] is string else function['arguments'] | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message['role'] != 'system' or not loop.first %}
        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
CHAT_TEMPLATE = _HEAD + _BODY


def _compiled(sort_keys: bool) -> Template:
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 -- makes no HTML
    environment.policies["json.dumps_kwargs"] = {"sort_keys": sort_keys}
    return environment.from_string(CHAT_TEMPLATE)


_SORTED, _UNSORTED = _compiled(True), _compiled(False)


def rendered(
    messages: Sequence[Message], tools: Sequence[Tool] = (), *, prompt: bool = False, sort_keys: bool = True
) -> str:
    """The text that a model sees of a conversation; with `prompt` it ends where the assistant is to begin.

    Engines differ in whether they sort the keys of a tool's description, so the training text has both.
    """
    template = _SORTED if sort_keys else _UNSORTED
    return template.render(messages=list(messages), tools=list(tools) or None, add_generation_prompt=prompt)
