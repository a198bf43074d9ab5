// Chat by Vercel's `ai` with its provider for OpenAI's shape, which checks every chunk by a zod schema and drops no error.
import assert from 'node:assert/strict';
import { KEY, MODEL, URL, all, any, run, stage, staged } from './cases.mjs';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Output, embedMany, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;
const City = z.object({ city: z.enum(['Rome', 'Berlin']) });
const call = (city) => `<tool_call>\n{"name": "weather", "arguments": {"city": "${city}"}}\n</tool_call>`;

const hive = createOpenAICompatible({
  baseURL: `${URL}/v1`,
  name: 'hive',
  apiKey: KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = hive.chatModel(MODEL);
const prompt = 'How is the weather in Rome?';
const weather = (asked) => tool({ inputSchema: City, execute: ({ city }) => asked.push(city) && `Sunny in ${city}.` });

any('a text in one piece', async () => {
  const got = await generateText({ model, prompt, maxOutputTokens: 12, maxRetries: 0 });
  assert.ok(got.text);
  assert.ok(['stop', 'length'].includes(got.finishReason));
  assert.ok(got.usage.inputTokens > 0 && got.usage.outputTokens > 0);
});

any('a text that is streamed', async () => {
  const got = streamText({ model, prompt, maxRetries: 0, onError: ({ error }) => assert.fail(error) });
  const pieces = await all(got.textStream);
  assert.ok(pieces.join(''));
  assert.equal(pieces.join(''), await got.text);
  assert.ok((await got.usage).outputTokens > 0);
});

any('an object by its schema', async () => {
  const got = await generateText({ model, prompt, output: Output.object({ schema: City }), maxRetries: 0 });
  City.parse(got.output);
});

any('a tool that must be called', async () => {
  const asked = [];
  const got = await generateText({ model, prompt, tools: { weather: weather(asked) }, toolChoice: 'required', maxRetries: 0 });
  assert.equal(got.finishReason, 'tool-calls');
  assert.ok(asked.length > 0);
});

any('vectors, and prompts as they are', async () => {
  const { embeddings } = await embedMany({ model: hive.embeddingModel(MODEL), values: ['The sun.', 'The sea.'], maxRetries: 0 });
  assert.equal(embeddings.length, 2);
  assert.ok(embeddings[0].length > 8 && embeddings[0].length === embeddings[1].length);
  const plain = hive.completionModel(MODEL);
  assert.ok((await generateText({ model: plain, prompt: 'Once upon', maxOutputTokens: 6, maxRetries: 0 })).text);
  const got = streamText({ model: plain, prompt: 'Once upon', maxOutputTokens: 6, maxRetries: 0 });
  assert.ok((await all(got.textStream)).join(''));
});

staged('every chunk passes the schema', async () => {
  await stage.says('Grüße 🌞 aus Rom', { chunk: 1 });
  const parts = await all(streamText({ model, prompt, maxRetries: 0, include: { rawChunks: true } }).fullStream);
  assert.deepEqual(parts.filter((part) => part.type === 'error'), []);
  const text = parts.filter((part) => part.type === 'text-delta').map((part) => part.text);
  assert.equal(text.join(''), 'Grüße 🌞 aus Rom');
  assert.equal(parts.filter((part) => part.type === 'finish').length, 1);
  assert.ok(parts.find((part) => part.type === 'finish').totalUsage.outputTokens > 0);
});

staged('a loop of tools in a stream', async () => {
  const asked = [];
  await stage.says([`I look.${call('Rome')}${call('Berlin')}`, 'Sunny in both.'], { chunk: 1 });
  const got = streamText({ model, prompt, tools: { weather: weather(asked) }, stopWhen: isStepCount(3), maxRetries: 0 });
  const parts = await all(got.fullStream);
  assert.deepEqual(parts.filter((part) => part.type.endsWith('error')), []);
  assert.deepEqual(asked, ['Rome', 'Berlin']);
  const calls = parts.filter((part) => part.type === 'tool-call');
  assert.deepEqual(calls.map((one) => [one.toolName, one.input.city]), [['weather', 'Rome'], ['weather', 'Berlin']]);
  assert.ok(parts.filter((part) => part.type === 'tool-input-delta').length > 4, 'arguments are streamed');
  assert.equal(await got.text, 'Sunny in both.');
  await stage.offered();
  assert.deepEqual((await stage.offered()).messages.map((one) => one.role), ['user', 'assistant', 'tool', 'tool']);
});

staged('silence is no event', async () => {
  await stage.toldOfSilence(0.1);
  await stage.says('It is sunny.', { then: 'held' });
  const got = streamText({ model, prompt, maxRetries: 0 });
  await stage.offered();
  await stage.goesOn(0.5);
  const parts = await all(got.fullStream);
  assert.deepEqual(parts.filter((part) => part.type === 'error'), []);
  assert.equal(await got.text, 'It is sunny.');
});

staged('a failure midway is an error', async () => {
  await stage.says('It is half', { then: 'failed' });
  const got = streamText({ model, prompt, maxRetries: 0, onError: () => {} });
  const parts = await all(got.fullStream);
  assert.equal(parts.filter((part) => part.type === 'error').length, 1);
  assert.ok(!parts.some((part) => part.type === 'finish' && part.finishReason === 'stop'));
});

staged('reasoning is told apart', async () => {
  await stage.thinks();
  await stage.says('<think>Rome is sunny.</think>It is sunny.', { chunk: 1 });
  const got = streamText({ model, prompt, maxRetries: 0 });
  const parts = await all(got.fullStream);
  const told = (type) => parts.filter((part) => part.type === type).map((part) => part.text).join('');
  assert.equal(told('reasoning-delta').trim(), 'Rome is sunny.');
  assert.equal(told('text-delta').trim(), 'It is sunny.');
  const whole = await generateText({ model, prompt, maxRetries: 0 });
  assert.deepEqual([whole.reasoningText.trim(), whole.text.trim()], ['Rome is sunny.', 'It is sunny.']);
});

staged('an abort frees the slot', async () => {
  await stage.says('Once upon', { then: 'held' });
  const controller = new AbortController();
  const got = streamText({ model, prompt, abortSignal: controller.signal, maxRetries: 0, onError: () => {} });
  for await (const piece of got.textStream) if (piece) controller.abort();
  assert.equal((await stage.cancelled((await stage.offered()).job_id)).status, 'cancelled');
});

await run();
