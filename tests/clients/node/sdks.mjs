// The scenarios of tests/clients by the SDKs of OpenAI and Anthropic for Node.
// usage: node sdks.mjs DIRECTORY_OF_NODE_MODULES <<< '{"url": …, "models": {kind: model}, "system": …, "png": …, "tool": […]}'
// Prints one JSON object: "client/kind/scenario/whole|stream" to what a user sees of each answer, or to the error.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/package.json`);
const { OpenAI } = require('openai');
const { Anthropic } = require('@anthropic-ai/sdk');
const { url, models, system, png, tool: [name, description, parameters] } = JSON.parse(readFileSync(0, 'utf8'));
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: 'unused', maxRetries: 0 });
const picture = `data:image/png;base64,${png}`;

class Chat {
  messages = [{ role: 'system', content: system }];
  constructor(model) { this.model = model; }

  async ask(words, { image, tools, schema, limit, stream }) {
    if (words !== null) {
      const text = { type: 'text', text: words };
      const content = image ? [text, { type: 'image_url', image_url: { url: picture } }] : words;
      this.messages.push({ role: 'user', content });
    }
    const request = { model: this.model, messages: this.messages };
    if (tools) request.tools = [{ type: 'function', function: { name, description, parameters } }];
    if (schema) {
      const wanted = { name: 'place', schema: parameters, strict: true };
      request.response_format = { type: 'json_schema', json_schema: wanted };
    }
    if (limit) request.max_completion_tokens = limit;
    let answer, heard = '';
    if (stream) {
      const events = openai.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
      events.on('content', (delta) => { heard += delta; });
      try {
        answer = await events.finalChatCompletion();
      } catch (error) {
        if (error.constructor.name !== 'LengthFinishReasonError') throw error;
        answer = events.currentChatCompletionSnapshot ?? (await events.finalChatCompletion());
      }
    } else {
      answer = await openai.chat.completions.create(request);
    }
    const [{ message, finish_reason }] = answer.choices;
    if (stream && heard !== (message.content ?? '')) throw new Error(`the pieces make ${heard}`);
    this.messages.push(message);
    this.calls = message.tool_calls ?? [];
    const { usage } = answer;
    return {
      text: message.content ?? '',
      calls: this.calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
      finish: finish_reason,
      model: answer.model,
      read: usage.prompt_tokens,
      wrote: usage.completion_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? null,
      thought: usage.completion_tokens_details?.reasoning_tokens ?? null,
    };
  }

  tell(...results) {
    this.calls.forEach((call, i) => {
      this.messages.push({ role: 'tool', tool_call_id: call.id, content: results[i] });
    });
  }
}

class Responses {
  items = [];
  constructor(model) { this.model = model; }

  async ask(words, { image, tools, schema, limit, stream }) {
    if (words !== null) {
      const content = [{ type: 'input_text', text: words }];
      if (image) content.push({ type: 'input_image', image_url: picture, detail: 'auto' });
      this.items.push({ role: 'user', content });
    }
    const request = { model: this.model, input: this.items, instructions: system, store: false };
    if (tools) request.tools = [{ type: 'function', name, description, parameters, strict: true }];
    if (schema) request.text = { format: { type: 'json_schema', name: 'place', schema: parameters, strict: true } };
    if (limit) request.max_output_tokens = limit;
    let answer;
    if (stream) {
      let next = 0;
      for await (const event of await openai.responses.create({ ...request, stream: true })) {
        if (event.sequence_number !== next++) throw new Error(`event ${event.sequence_number} is out of order`);
        answer = event.response ?? answer;
      }
    } else {
      answer = await openai.responses.create(request);
    }
    this.items.push(...answer.output);
    this.calls = answer.output.filter((item) => item.type === 'function_call');
    const texts = answer.output.flatMap((item) => (item.type === 'message' ? item.content : []));
    const { usage } = answer;
    return {
      text: texts.map((part) => part.text).join(''),
      calls: this.calls.map((call) => [call.name, JSON.parse(call.arguments)]),
      finish: answer.incomplete_details?.reason ?? answer.status,
      model: answer.model,
      read: usage.input_tokens,
      wrote: usage.output_tokens,
      cached: usage.input_tokens_details.cached_tokens,
      written: usage.input_tokens_details.cache_write_tokens,
      thought: usage.output_tokens_details.reasoning_tokens,
    };
  }

  tell(...results) {
    this.calls.forEach((call, i) => {
      this.items.push({ type: 'function_call_output', call_id: call.call_id, output: results[i] });
    });
  }
}

class Messages {
  messages = [];
  constructor(model) { this.model = model; }

  async ask(words, { image, tools, schema, limit, stream }) {
    if (words !== null) {
      const content = [{ type: 'text', text: words }];
      const source = { type: 'base64', media_type: 'image/png', data: png };
      if (image) content.unshift({ type: 'image', source });
      this.messages.push({ role: 'user', content });
    }
    const request = { model: this.model, system, max_tokens: limit ?? 1000, messages: this.messages };
    if (tools) request.tools = [{ name, description, input_schema: parameters }];
    if (schema) request.output_config = { format: { type: 'json_schema', schema: parameters } };
    let answer, heard = '';
    if (stream) {
      const events = anthropic.messages.stream(request);
      events.on('text', (delta) => { heard += delta; });
      answer = await events.finalMessage();
    } else {
      answer = await anthropic.messages.create(request);
    }
    const text = answer.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
    if (stream && heard !== text) throw new Error(`the pieces make ${heard}`);
    this.messages.push({ role: 'assistant', content: answer.content });
    this.calls = answer.content.filter((block) => block.type === 'tool_use');
    const { usage } = answer;
    const [cached, written] = [usage.cache_read_input_tokens ?? null, usage.cache_creation_input_tokens ?? null];
    return {
      text,
      calls: this.calls.map((call) => [call.name, call.input]),
      finish: answer.stop_reason,
      model: answer.model,
      read: usage.input_tokens + (cached ?? 0) + (written ?? 0),
      wrote: usage.output_tokens,
      cached,
      written,
    };
  }

  tell(...results) {
    const told = this.calls.map((call, i) => ({ type: 'tool_result', tool_use_id: call.id, content: results[i] }));
    this.messages.push({ role: 'user', content: told });
  }
}

const scenarios = {
  chat: async (client, stream) => [await client.ask("Wie geht's, 東京?", { stream })],
  cut: async (client, stream) => [await client.ask('Go on.', { limit: 5, stream })],
  tools: async (client, stream) => {
    const first = await client.ask('How is the weather?', { tools: true, stream });
    client.tell('sunny ☀', 'rain');
    return [first, await client.ask(null, { tools: true, stream })];
  },
  schema: async (client, stream) => [await client.ask('Where?', { schema: true, stream })],
  image: async (client, stream) => [await client.ask('What is this?', { image: true, stream })],
};

const told = {};
for (const [by, Client] of Object.entries({ openai: Chat, openai_responses: Responses, anthropic: Messages })) {
  for (const [kind, model] of Object.entries(models)) {
    for (const [scenario, run] of Object.entries(scenarios)) {
      for (const stream of [false, true]) {
        const cell = `${by}/${kind}/${scenario}/${stream ? 'stream' : 'whole'}`;
        try {
          told[cell] = await run(new Client(model), stream);
        } catch (error) {
          told[cell] = { error: `${error.name}: ${error.message}` };
        }
      }
    }
  }
}
console.log(JSON.stringify(told));
