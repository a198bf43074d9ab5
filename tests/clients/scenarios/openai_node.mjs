// Chat by the official `openai` package for Node.js: raw, streamed, parsed, with tools, broken off and tried again.
import assert from 'node:assert/strict';
import { KEY, MODEL, URL, all, any, run, stage, staged } from './cases.mjs';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const ASKED = { model: MODEL, messages: [{ role: 'user', content: 'How is the weather in Rome?' }] };
const SAID = 'Grüße aus Rom 🌞🏛️, 你好!';
const City = z.object({ city: z.enum(['Rome', 'Berlin']) });
const call = (city) => `<tool_call>\n{"name": "weather", "arguments": {"city": "${city}"}}\n</tool_call>`;

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const tool = zodFunction({ name: 'weather', parameters: City });
const chat = client.chat.completions;

any('a whole answer and the models', async () => {
  const { data: got, response } = await chat.create({ ...ASKED, max_completion_tokens: 12 }).withResponse();
  const [choice] = got.choices;
  assert.equal(got.object, 'chat.completion');
  assert.ok(choice.message.content);
  assert.equal(choice.message.refusal, null);
  assert.equal(got.usage.total_tokens, got.usage.prompt_tokens + got.usage.completion_tokens);
  assert.ok(response.headers.get('x-hive-worker'));
  const models = await all(client.models.list());
  assert.deepEqual(models.map((model) => model.id), [MODEL]);
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});

any('a stream and the helper that adds it up', async () => {
  const chunks = await all(await chat.create({ ...ASKED, stream: true, stream_options: { include_usage: true } }));
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  const runner = chat.stream(ASKED);
  let said = '';
  runner.on('content', (delta) => (said += delta));
  assert.equal(await runner.finalContent(), said);
  assert.ok(said);
});

any('a zod schema is filled in', async () => {
  const format = zodResponseFormat(z.object({ city: z.enum(['Rome', 'Berlin']), sunny: z.boolean() }), 'weather');
  const got = await chat.parse({ ...ASKED, response_format: format });
  assert.ok(['Rome', 'Berlin'].includes(got.choices[0].message.parsed.city));
  assert.equal(typeof got.choices[0].message.parsed.sunny, 'boolean');
});

any('a tool is called and hears back', async () => {
  const first = await chat.create({ ...ASKED, tools: [tool], tool_choice: 'required' });
  assert.equal(first.choices[0].finish_reason, 'tool_calls');
  const [asked] = first.choices[0].message.tool_calls;
  City.parse(JSON.parse(asked.function.arguments));
  const back = { role: 'tool', tool_call_id: asked.id, content: 'Sunny.' };
  const messages = [...ASKED.messages, first.choices[0].message, back];
  const then = await chat.create({ model: MODEL, messages, tools: [tool], tool_choice: 'none', max_tokens: 8 });
  assert.ok(then.choices[0].message.content);
});

any('several answers in one stream', async () => {
  const { choices } = await chat.stream({ ...ASKED, n: 2 }).finalChatCompletion();
  assert.deepEqual(choices.map((choice) => [choice.index, choice.message.role]), [[0, 'assistant'], [1, 'assistant']]);
  assert.ok(choices.every((choice) => choice.message.content));
});

any('vectors, which come as base64', async () => {
  const got = await client.embeddings.create({ model: MODEL, input: ['The sun.', 'The sea.'] });
  const floats = await client.embeddings.create({ model: MODEL, input: 'The sea.', encoding_format: 'float' });
  assert.ok(got.data[0].embedding.length > 8);
  assert.ok(got.data[1].embedding.every((number, place) => Math.abs(number - floats.data[0].embedding[place]) < 1e-5));
});

any('a response that is continued', async () => {
  const first = await client.responses.create({ model: MODEL, input: 'Hello', max_output_tokens: 8 });
  const stream = client.responses.stream({ model: MODEL, input: 'And you?', previous_response_id: first.id });
  let said = '';
  stream.on('response.output_text.delta', (event) => (said += event.delta));
  const whole = await stream.finalResponse();
  assert.equal(whole.output_text, said);
  assert.ok(first.output_text && said);
});

any('what is wrong raises its own class', async () => {
  await assert.rejects(chat.create({ ...ASKED, model: 'no-such-model' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'invalid_model');
    return true;
  });
  await assert.rejects(client.withOptions({ apiKey: 'none' }).models.list(), OpenAI.AuthenticationError);
});

staged('the rules of a stream', async () => {
  await stage.says(SAID, { chunk: 1 });
  const chunks = await all(await chat.create({ ...ASKED, stream: true, stream_options: { include_usage: true } }));
  assert.equal(new Set(chunks.map(({ id, created, model, object }) => `${id} ${created} ${model} ${object}`)).size, 1);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.filter((choice) => choice.delta.role).length, 1);
  assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), ['stop']);
  assert.equal(choices.at(-1).finish_reason, 'stop');
  assert.ok(choices.every((choice) => !('tool_calls' in choice.delta)));
  assert.equal(choices.map((choice) => choice.delta.content ?? '').join(''), SAID);
  assert.ok(choices.every((choice) => !choice.delta.content?.includes('\ufffd')));
  assert.deepEqual(chunks.map((chunk) => chunk.choices.length), [...choices.map(() => 1), 0]);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
});

staged('parallel calls in a stream', async () => {
  await stage.says(`I look.\n${call('Rome')}${call('Berlin')}`, { chunk: 1 });
  const runner = chat.stream({ ...ASKED, tools: [tool] });
  const done = [];
  runner.on('tool_calls.function.arguments.done', ({ index, name, arguments: text }) => done.push([index, name, text]));
  const { choices } = await runner.finalChatCompletion();
  assert.deepEqual(done.map(([index, name, text]) => [index, name, JSON.parse(text)]), [
    [0, 'weather', { city: 'Rome' }],
    [1, 'weather', { city: 'Berlin' }],
  ]);
  assert.equal(choices[0].finish_reason, 'tool_calls');
  assert.deepEqual(choices[0].message.tool_calls.map((one) => one.function.parsed_arguments.city), ['Rome', 'Berlin']);
  assert.equal(new Set(choices[0].message.tool_calls.map((one) => one.id)).size, 2);
});

staged('the runner that calls the tools itself', async () => {
  await stage.says([call('Berlin'), 'It rains in Berlin.']);
  const asked = [];
  const weather = ({ city }) => asked.push(city) && 'Rain.';
  const described = { name: 'weather', parse: JSON.parse, function: weather, parameters: z.toJSONSchema(City) };
  const runner = chat.runTools({ ...ASKED, stream: true, tools: [{ type: 'function', function: described }] });
  assert.equal(await runner.finalContent(), 'It rains in Berlin.');
  assert.deepEqual(asked, ['Berlin']);
  assert.equal((await stage.offered()).messages.length, 1);
  assert.deepEqual((await stage.offered()).messages.map((one) => one.role), ['user', 'assistant', 'tool']);
});

staged('half an object raises', async () => {
  await stage.says('{"city": "Rome"}');
  const cut = { ...ASKED, max_tokens: 3, response_format: zodResponseFormat(City, 'city') };
  await assert.rejects(chat.parse(cut), OpenAI.LengthFinishReasonError);
  await assert.rejects(chat.stream(cut).finalChatCompletion(), OpenAI.LengthFinishReasonError);
});

staged('a failure midway raises', async () => {
  await stage.says('It is half', { then: 'failed' });
  let said = '';
  await assert.rejects(async () => {
    for await (const chunk of await chat.create({ ...ASKED, stream: true })) {
      said += chunk.choices[0].delta.content ?? '';
      assert.equal(chunk.choices[0].finish_reason, null);
    }
  }, (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.code, 'job_failed');
    return true;
  });
  assert.equal(said, 'It is half');
});

staged('silence is no event', async () => {
  await stage.toldOfSilence(0.1);
  await stage.says('It is sunny.', { late: true });
  const stream = await chat.create({ ...ASKED, stream: true });
  await stage.goesOn(0.5);
  const said = (await all(stream)).map((chunk) => chunk.choices[0].delta.content ?? '');
  assert.equal(said.join(''), 'It is sunny.');
});

staged('a failure that Hive has tried twice is not tried again', async () => {
  await stage.says('', { then: 'failed' });
  const trying = client.withOptions({ maxRetries: 2 }).chat.completions;
  await assert.rejects(trying.create(ASKED), (error) => error.status === 502 && error.code === 'job_failed');
  assert.equal((await stage.offered()).job_id, (await stage.offered()).job_id);
  assert.ok(await stage.noneOffered());
});

staged('a stream that is left frees the slot', async () => {
  for (const leave of ['break', 'abort']) {
    await stage.says('Once upon', { then: 'held' });
    const controller = new AbortController();
    const stream = await chat.create({ ...ASKED, stream: true }, { signal: controller.signal });
    for await (const chunk of stream) {
      if (!chunk.choices[0].delta.content) continue;
      if (leave === 'break') break;
      controller.abort();
    }
    assert.equal((await stage.cancelled((await stage.offered()).job_id)).status, 'cancelled');
  }
});

staged('an abort before the first token frees the slot', async () => {
  for (const stream of [false, true]) {
    await stage.says('', { then: 'held' });
    const controller = new AbortController();
    const asking = assert.rejects(chat.create({ ...ASKED, stream }, { signal: controller.signal }), OpenAI.APIUserAbortError);
    const { job_id } = await stage.offered();
    controller.abort();
    await asking;
    assert.equal((await stage.cancelled(job_id)).status, 'cancelled');
  }
});

staged("a client's own limit of time cancels its job", async () => {
  await stage.says('', { then: 'held' });
  await assert.rejects(chat.create(ASKED, { timeout: 3_000 }), OpenAI.APIConnectionTimeoutError);
  assert.equal((await stage.cancelled((await stage.offered()).job_id)).status, 'cancelled');
});

staged('an answer that was lost is told again by the same job', async () => {
  for (const how of ['cut', '502']) {
    await stage.says('Once upon a time.');
    const behind = new OpenAI({ baseURL: `${await stage.losing(how)}/v1`, apiKey: KEY, timeout: 30_000 });
    const { data: got, response } = await behind.chat.completions.create(ASKED).withResponse();
    assert.equal(got.choices[0].message.content, 'Once upon a time.');
    assert.equal(response.headers.get('x-hive-job-id'), (await stage.offered()).job_id);
    assert.ok(await stage.noneOffered(), how);
  }
});

await run();
