// Runs the official JavaScript clients, unchanged, against a cluster: node clients.mjs http://127.0.0.1:8080/v1
// One line for each check; exit code 1 when one of them failed.
import OpenAI6 from 'openai6';
import OpenAI7 from 'openai7';
import { ChatOpenAI, OpenAI as LangChainText, OpenAIEmbeddings } from '@langchain/openai';

const baseURL = process.argv[2];
const model = 'tiny';
const messages = [{ role: 'user', content: 'Count from 7 to 12.' }];
const expected = '7, 8, 9, 10, 11, 12.';
const person = {
  type: 'object', additionalProperties: false, required: ['name', 'age'],
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 120 } },
};
const weather = {
  type: 'function',
  function: {
    name: 'weather', description: 'Tells the weather.',
    parameters: {
      type: 'object', additionalProperties: false, required: ['city'],
      properties: { city: { type: 'string', enum: ['Paris', 'Oslo'] } },
    },
  },
};
let failed = 0;

async function check(name, test) {
  try {
    await test();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${error?.stack ?? error}`);
  }
}

function equal(actual, wanted, what) {
  const [a, w] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (a !== w) throw new Error(`${what}: ${a}, not ${w}`);
}

function checkPerson(value) {
  equal(Object.keys(value), ['name', 'age'], 'members');
  equal(Number.isInteger(value.age) && value.age >= 0 && value.age <= 120, true, 'age');
}

async function rejects(promise, test, what) {
  try {
    await promise;
  } catch (error) {
    if (!test(error)) throw new Error(`${what}: ${error?.constructor?.name} ${error?.status} ${error?.message}`);
    return error;
  }
  throw new Error(`${what}: nothing was thrown`);
}

/** Counts requests, and answers the first ones itself. */
function countingFetch(refusals = []) {
  const counter = async (url, init) => {
    counter.calls++;
    const refusal = refusals.shift();
    if (refusal === undefined) return fetch(url, init);
    const error = { error: { message: 'busy', type: 'rate_limit_error', param: null, code: 'overloaded' } };
    return new Response(JSON.stringify(error), {
      status: refusal, headers: { 'content-type': 'application/json', 'retry-after-ms': '10' },
    });
  };
  counter.calls = 0;
  return counter;
}

async function openai(OpenAI, name) {
  const client = new OpenAI({ baseURL, apiKey: 'any', maxRetries: 0 });
  const ask = (more) => client.chat.completions.create({ model, messages, temperature: 0, ...more });

  await check(`${name} models`, async () => {
    equal((await client.models.list()).data.map((row) => row.id), [model], 'list');
    equal((await client.models.retrieve(model)).object, 'model', 'retrieve');
  });
  await check(`${name} chat`, async () => {
    const answer = await ask();
    equal(answer.choices[0].message.content, expected, 'content');
    equal(answer.choices[0].finish_reason, 'stop', 'finish_reason');
    equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens, 'usage');
    if (!answer._request_id) throw new Error('no request id');
  });
  await check(`${name} streaming`, async () => {
    let [text, usage] = ['', null];
    for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage ?? usage;
    }
    equal(text, expected, 'text');
    equal(usage.completion_tokens > 0, true, 'usage');
  });
  await check(`${name} stream helper`, async () => {
    const final = await client.chat.completions.stream({ model, messages, temperature: 0, n: 2 }).finalChatCompletion();
    equal(final.choices.map((choice) => choice.message.content), [expected, expected], 'choices');
  });
  await check(`${name} n and logprobs`, async () => {
    const answer = await ask({ n: 3, temperature: 1, seed: 5, logprobs: true, top_logprobs: 2, max_tokens: 6 });
    equal(answer.choices.map((choice) => choice.index), [0, 1, 2], 'indices');
    for (const choice of answer.choices) {
      equal(choice.logprobs.content.every((token) => token.top_logprobs.length === 2), true, 'top_logprobs');
    }
    const again = await ask({ n: 3, temperature: 1, seed: 5, logprobs: true, top_logprobs: 2, max_tokens: 6 });
    equal(again.choices, answer.choices, 'a second time');
  });
  await check(`${name} completions`, async () => {
    const answer = await client.completions.create({ model, prompt: ['a', 'b'], max_tokens: 3, echo: true, logprobs: 1 });
    equal(answer.choices.length, 2, 'choices');
    equal(answer.choices[0].text.startsWith('a'), true, 'echo');
  });
  await check(`${name} responses`, async () => {
    const answer = await client.responses.create({ model, input: 'Count from 7 to 12.', temperature: 0 });
    equal(answer.output_text, expected, 'output_text');
    let text = '';
    const stream = await client.responses.create({ model, input: 'Count from 7 to 12.', temperature: 0, stream: true });
    for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
    equal(text, expected, 'streamed');
  });
  await check(`${name} structured output`, async () => {
    const format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } };
    const answer = await ask({ response_format: format, max_tokens: 200 });
    checkPerson(JSON.parse(answer.choices[0].message.content));
    const parsed = await client.chat.completions.parse({ model, messages, response_format: format, max_tokens: 200 });
    checkPerson(parsed.choices[0].message.parsed);
    const object = await ask({ response_format: { type: 'json_object' }, max_tokens: 100 });
    equal(typeof JSON.parse(object.choices[0].message.content), 'object', 'json_object');
  });
  await check(`${name} tools`, async () => {
    const asked = { tools: [weather], tool_choice: 'required', parallel_tool_calls: false, max_tokens: 200 };
    const answer = await ask(asked);
    equal(answer.choices[0].finish_reason, 'tool_calls', 'finish_reason');
    const [call] = answer.choices[0].message.tool_calls;
    equal(call.function.name, 'weather', 'name');
    equal(['Paris', 'Oslo'].includes(JSON.parse(call.function.arguments).city), true, 'arguments');
    const streamed = await client.chat.completions
      .stream({ model, messages, temperature: 0, ...asked }).finalChatCompletion();
    const [again] = streamed.choices[0].message.tool_calls;
    equal([again.function.name, again.function.arguments], [call.function.name, call.function.arguments], 'streamed');
    const history = [
      ...messages, answer.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' },
    ];
    const next = await client.chat.completions.create(
      { model, messages: history, tools: [weather], tool_choice: 'none', max_tokens: 5 });
    equal(typeof next.choices[0].message.content, 'string', 'the answer behind a result');
  });
  await check(`${name} tools in responses`, async () => {
    const answer = await client.responses.create({
      model, input: 'Count from 7 to 12.', max_output_tokens: 200, parallel_tool_calls: false,
      tool_choice: { type: 'function', name: 'weather' },
      tools: [{ type: 'function', name: 'weather', parameters: weather.function.parameters, strict: true }],
    });
    const call = answer.output.find((item) => item.type === 'function_call');
    equal(['Paris', 'Oslo'].includes(JSON.parse(call.arguments).city), true, 'arguments');
    const parsed = await client.responses.parse({
      model, input: 'x', max_output_tokens: 200,
      text: { format: { type: 'json_schema', name: 'person', strict: true, schema: person } },
    });
    checkPerson(JSON.parse(parsed.output_text));
  });
  await check(`${name} errors`, async () => {
    await rejects(ask({ model: 'other' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found', '404');
    await rejects(ask({ temperature: 9 }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature', '400');
    await rejects(
      ask({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { not: {} } } } }),
      (e) => e instanceof OpenAI.BadRequestError && e.param === 'response_format.json_schema.schema.not', 'schema');
    await rejects(
      ask({ tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }], tool_choice: 'x' }),
      (e) => e instanceof OpenAI.BadRequestError, 'tools');
  });
  await check(`${name} retries`, async () => {
    const counting = countingFetch([429, 503]);
    const patient = new OpenAI({ baseURL, apiKey: 'any', fetch: counting, maxRetries: 2 });
    const answer = await patient.chat.completions.create({ model, messages, temperature: 0 });
    equal(answer.choices[0].message.content, expected, 'content');
    equal(counting.calls, 3, 'requests');
  });
  await check(`${name} a refusal that no retry helps is not retried`, async () => {
    const counting = countingFetch();
    const patient = new OpenAI({ baseURL, apiKey: 'any', fetch: counting, maxRetries: 2 });
    await rejects(
      patient.embeddings.create({ model, input: 'x' }), (e) => e instanceof OpenAI.NotFoundError, 'embeddings');
    equal(counting.calls, 1, 'requests');
  });
  await check(`${name} abort`, async () => {
    const stream = await ask({ stream: true, max_tokens: 400, ignore_eos: true });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) stream.controller.abort();
    equal(chunks < 100, true, 'chunks after the abort');
    await rejects(
      client.chat.completions.create(
        { model, messages, max_tokens: 400, ignore_eos: true }, { signal: AbortSignal.timeout(20) }),
      (e) => e instanceof OpenAI.APIUserAbortError, 'abort of a whole answer');
  });
  await check(`${name} files and batches`, async () => {
    const lines = [1, 2, 3].map((i) => JSON.stringify({
      custom_id: `r${i}`, method: 'POST', url: '/v1/chat/completions', body: { model, messages, temperature: 0 },
    }));
    const file = await client.files.create({
      file: await OpenAI.toFile(Buffer.from(`${lines.join('\n')}\n`), 'in.jsonl'), purpose: 'batch',
    });
    equal((await client.files.retrieve(file.id)).filename, 'in.jsonl', 'filename');
    let batch = await client.batches.create({
      input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { of: name },
    });
    while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      batch = await client.batches.retrieve(batch.id);
    }
    equal([batch.status, batch.request_counts.completed, batch.metadata.of], ['completed', 3, name], 'batch');
    const output = await (await client.files.content(batch.output_file_id)).text();
    for (const line of output.trim().split('\n').map((text) => JSON.parse(text)))
      equal(line.response.body.choices[0].message.content, expected, line.custom_id);
    equal((await client.batches.list({ limit: 1 })).data[0].id, batch.id, 'batches');
    const ids = [];
    for await (const row of client.files.list({ limit: 1 })) ids.push(row.id);
    equal(ids.includes(file.id) && ids.includes(batch.output_file_id), true, 'files in pages');
    equal((await client.files.delete(file.id)).deleted, true, 'delete');
    await rejects(client.files.retrieve(file.id), (e) => e instanceof OpenAI.NotFoundError, 'a deleted file');
  });
  await check(`${name} idempotency`, async () => {
    const headers = { 'Idempotency-Key': `node-${name}` };
    const create = () => client.chat.completions.create({ model, messages, temperature: 1 }, { headers });
    const [one, two] = await Promise.all([create(), create()]);
    equal([one.id, one.choices], [two.id, two.choices], 'both answers');
  });
}

async function langchain() {
  const options = { model, temperature: 0, apiKey: 'any', maxRetries: 0, configuration: { baseURL } };
  await check('langchain chat', async () => {
    const answer = await new ChatOpenAI(options).invoke('Count from 7 to 12.');
    equal(answer.content, expected, 'content');
    equal(answer.usage_metadata.output_tokens > 0, true, 'usage');
  });
  await check('langchain streaming', async () => {
    let text = '';
    for await (const chunk of await new ChatOpenAI(options).stream('Count from 7 to 12.')) text += chunk.content;
    equal(text, expected, 'text');
  });
  await check('langchain logprobs', async () => {
    const answer = await new ChatOpenAI({ ...options, logprobs: true, topLogprobs: 2 }).invoke('Count from 7 to 12.');
    equal(answer.response_metadata.logprobs.content.length > 5, true, 'logprobs');
  });
  await check('langchain text', async () => {
    const text = await new LangChainText({ ...options, maxTokens: 5 }).invoke('Count from 7 to 12.');
    equal(typeof text, 'string', 'text');
  });
  await check('langchain structured output', async () => {
    for (const method of ['jsonSchema', 'functionCalling']) {
      const chat = new ChatOpenAI({ ...options, maxTokens: 200 }).withStructuredOutput(person, { name: 'person', method });
      checkPerson(await chat.invoke('Count from 7 to 12.'));
    }
  });
  await check('langchain tools', async () => {
    const chat = new ChatOpenAI({ ...options, maxTokens: 200 }).bindTools([weather], { tool_choice: 'required' });
    const answer = await chat.invoke('Count from 7 to 12.');
    equal(answer.tool_calls[0].name, 'weather', 'name');
    equal(['Paris', 'Oslo'].includes(answer.tool_calls[0].args.city), true, 'arguments');
    let gathered;
    for await (const chunk of await chat.stream('Count from 7 to 12.'))
      gathered = gathered === undefined ? chunk : gathered.concat(chunk);
    equal(gathered.tool_calls[0].args, answer.tool_calls[0].args, 'streamed');
  });
  await check('langchain embeddings are refused', () => rejects(
    new OpenAIEmbeddings(options).embedQuery('x'), (e) => e.status === 404, 'embeddings'));
}

await openai(OpenAI6, 'openai 6');
await openai(OpenAI7, 'openai 7');
await langchain();
console.log(failed === 0 ? 'all checks passed' : `${failed} checks failed`);
process.exit(failed === 0 ? 0 : 1);
