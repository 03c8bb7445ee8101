// The OpenAI API's promises, case by case, through the official npm client. Runs unchanged against any server:
// SLIPWAY_TEST_ENDPOINT, SLIPWAY_TEST_KEY, SLIPWAY_TEST_MODEL. The Python twin is the folder conformance/.
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import OpenAI from "openai";

const { SLIPWAY_TEST_ENDPOINT: url, SLIPWAY_TEST_KEY: key, SLIPWAY_TEST_MODEL: model } = process.env;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const SHORT = {
  type: "object",
  properties: { answer: { type: "string", maxLength: 12 }, sure: { type: "boolean" } },
  required: ["answer", "sure"],
  additionalProperties: false,
};
const STRUCTURED = { type: "json_schema", json_schema: { name: "short", schema: SHORT, strict: true } };
const AT = { type: "object", properties: { at: { type: "string", maxLength: 8 } }, required: ["at"], additionalProperties: false };
const TOOLS = ["depth", "tide"].map((name) => ({ type: "function", function: { name, parameters: AT } }));
const DEPTH = { type: "function", function: { name: "depth" } };
const HELLO = [{ role: "user", content: "What is a slipway?" }];
const chat = (options = {}) => client.chat.completions.create({ model, messages: HELLO, temperature: 0, max_tokens: 8, ...options });
const complete = (options = {}) => client.completions.create({ model, prompt: "A ramp on", temperature: 0, max_tokens: 4, ...options });
const text = (answer) => answer.choices[0].message.content;
const collected = async (stream) => {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
};
const joined = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
const refused = async (call, status, check = () => undefined) => {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof OpenAI.APIError, String(error));
    assert.equal(error.status, status);
    check(error);
    return true;
  });
};
const post = (path, body, headers = { authorization: `Bearer ${key}` }) =>
  fetch(url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });

test("id, object, created and model", async () => {
  const answer = await chat();
  assert.ok(answer.id.length > 0);
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.created > 1_700_000_000);
  assert.equal(answer.model, model);
});
test("ids differ", async () => { assert.notEqual((await chat()).id, (await chat()).id); });
test("one choice with index zero, by the assistant", async () => {
  const { choices } = await chat();
  assert.deepEqual(choices.map((each) => [each.index, each.message.role]), [[0, "assistant"]]);
});
test("usage adds up", async () => {
  const { usage } = await chat();
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});
test("logprobs are null unless asked for", async () => { assert.equal((await chat()).choices[0].logprobs, null); });
test("max_tokens cuts with length", async () => {
  const answer = await chat({ max_tokens: 2 });
  assert.equal(answer.usage.completion_tokens, 2);
  assert.equal(answer.choices[0].finish_reason, "length");
});
test("max_completion_tokens is its newer name", async () => {
  const answer = await client.chat.completions.create({ model, messages: HELLO, temperature: 0, max_completion_tokens: 3 });
  assert.equal(answer.usage.completion_tokens, 3);
});
test("without a limit the answer ends by itself", async () => {
  const answer = await client.chat.completions.create({ model, messages: HELLO, temperature: 0 });
  assert.equal(answer.choices[0].finish_reason, "stop");
});
test("temperature zero repeats itself", async () => { assert.equal(text(await chat()), text(await chat())); });
test("a seed repeats itself", async () => {
  const once = () => chat({ temperature: 2, seed: 5, max_tokens: 12 });
  assert.equal(text(await once()), text(await once()));
});
test("high temperature varies", async () => {
  const texts = new Set();
  for (let round = 0; round < 6; round += 1) texts.add(text(await chat({ temperature: 2, max_tokens: 20 })));
  assert.ok(texts.size > 1);
});
test("a tiny top_p is greedy", async () => { assert.equal(text(await chat({ temperature: 2, top_p: 0.0001 })), text(await chat())); });
test("logit_bias bans tokens", async () => {
  const bans = Object.fromEntries(Array.from({ length: 700 }, (_, id) => [String(id), -100]));
  assert.notEqual(text(await chat({ max_tokens: 1, logit_bias: bans })), text(await chat({ max_tokens: 1 })));
});
test("penalties are taken", async () => { assert.ok(text(await chat({ presence_penalty: 1.5, frequency_penalty: -1.5 })) !== null); });
test("n gives n choices", async () => {
  const answer = await chat({ n: 3, temperature: 1 });
  assert.deepEqual(answer.choices.map((each) => each.index), [0, 1, 2]);
});
test("n counts every completion token", async () => {
  const { choices, usage } = await chat({ n: 2, max_tokens: 3, temperature: 1, logprobs: true });
  assert.ok(usage.completion_tokens >= choices.reduce((sum, each) => sum + each.logprobs.content.length, 0));
});
test("n streams every choice", async () => {
  const chunks = await collected(chat({ n: 2, stream: true, max_tokens: 4, temperature: 1 }));
  assert.deepEqual([...new Set(chunks.flatMap((chunk) => chunk.choices.map((each) => each.index)))].sort(), [0, 1]);
});
test("a stop string ends the answer and is not in it", async () => {
  const whole = text(await chat({ max_tokens: 30 }));
  const answer = await chat({ max_tokens: 30, stop: whole.slice(6, 9) });
  assert.equal(text(answer), whole.slice(0, whole.indexOf(whole.slice(6, 9))));
  assert.equal(answer.choices[0].finish_reason, "stop");
});
test("several stop strings", async () => {
  const whole = text(await chat({ max_tokens: 30 }));
  const answer = await chat({ max_tokens: 30, stop: ["never-there", whole.slice(4, 6)] });
  assert.equal(text(answer), whole.slice(0, whole.indexOf(whole.slice(4, 6))));
});
test("a stop string works in a stream", async () => {
  const whole = text(await chat({ max_tokens: 30 }));
  const chunks = await collected(chat({ max_tokens: 30, stop: whole.slice(6, 9), stream: true }));
  assert.equal(joined(chunks), whole.slice(0, whole.indexOf(whole.slice(6, 9))));
});
test("chunks share an id and are chunks", async () => {
  const chunks = await collected(chat({ stream: true }));
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.ok(chunks.every((chunk) => chunk.object === "chat.completion.chunk"));
});
test("the first chunk has the role", async () => { assert.equal((await collected(chat({ stream: true })))[0].choices[0].delta.role, "assistant"); });
test("only the last chunk has a finish reason", async () => {
  const reasons = (await collected(chat({ stream: true }))).map((chunk) => chunk.choices[0].finish_reason);
  assert.equal(reasons.pop(), "length");
  assert.ok(reasons.every((reason) => reason === null));
});
test("a stream says what the whole says", async () => {
  assert.equal(joined(await collected(chat({ stream: true, max_tokens: 20 }))), text(await chat({ max_tokens: 20 })));
});
test("a stream has no usage unless asked for", async () => {
  assert.ok((await collected(chat({ stream: true }))).every((chunk) => (chunk.usage ?? null) === null));
});
test("include_usage adds a last chunk without choices", async () => {
  const last = (await collected(chat({ stream: true, stream_options: { include_usage: true } }))).at(-1);
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, (await chat()).usage.total_tokens);
});
test("the stream is an event stream and ends with [DONE]", async () => {
  const answer = await post("/v1/chat/completions", JSON.stringify({ model, messages: HELLO, stream: true, max_tokens: 3 }));
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  assert.equal((await answer.text()).trim().split("\n").at(-1), "data: [DONE]");
});
test("the streaming helper of the client works", async () => {
  const stream = client.chat.completions.stream({ model, messages: HELLO, temperature: 0 });
  assert.ok(text(await stream.finalChatCompletion()).length > 0);
});
test("a stream that is left frees its request", async () => {
  const stream = await chat({ stream: true, max_tokens: 200 });
  for await (const chunk of stream) { assert.ok(chunk.id); break; }
  assert.ok(stream.controller.signal.aborted);
  assert.ok(text(await chat()).length > 0);
});
test("logprobs cover every token", async () => {
  const [choice] = (await chat({ logprobs: true, max_tokens: 5 })).choices;
  assert.equal(choice.logprobs.content.map((each) => each.token).join(""), choice.message.content);
  assert.ok(choice.logprobs.content.every((each) => each.logprob <= 0));
});
test("top_logprobs are sorted", async () => {
  for (const each of (await chat({ logprobs: true, top_logprobs: 4, max_tokens: 3 })).choices[0].logprobs.content) {
    const values = each.top_logprobs.map((top) => top.logprob);
    assert.equal(values.length, 4);
    assert.deepEqual(values, [...values].sort((a, b) => b - a));
  }
});
test("content may come in parts", async () => {
  const parts = [{ type: "text", text: "What is a slipway?" }];
  assert.equal(text(await chat({ messages: [{ role: "user", content: parts }] })), text(await chat()));
});
test("developer is system", async () => {
  const asked = (role) => chat({ messages: [{ role, content: "Be brief." }, ...HELLO] });
  assert.equal(text(await asked("developer")), text(await asked("system")));
});
test("history counts towards the prompt", async () => {
  const longer = [...HELLO, { role: "assistant", content: "A ramp." }, { role: "user", content: "Why?" }];
  assert.ok((await chat({ messages: longer })).usage.prompt_tokens > (await chat()).usage.prompt_tokens);
});
const isShort = ({ finish_reason, message: { content } }) => {
  if (finish_reason === "length") return content.trimStart().startsWith("{"); // it was cut while it followed the schema
  const said = JSON.parse(content);
  return Object.keys(said).sort().join() === "answer,sure" && typeof said.sure === "boolean";
};
test("a json_schema is followed", async () => { assert.ok(isShort((await chat({ response_format: STRUCTURED, max_tokens: 300 })).choices[0])); });
test("a json_schema is followed when drawn", async () => {
  const answer = await chat({ response_format: STRUCTURED, max_tokens: 300, temperature: 1, seed: 1, n: 3 });
  assert.ok(answer.choices.every(isShort));
});
test("a json_schema is followed in a stream", async () => {
  const whole = text(await chat({ response_format: STRUCTURED, max_tokens: 300 }));
  assert.equal(joined(await collected(chat({ response_format: STRUCTURED, max_tokens: 300, stream: true }))), whole);
});
test("parse gives the object", async () => {
  const asked = { model, messages: HELLO, temperature: 0, max_tokens: 300, response_format: STRUCTURED };
  const answer = await client.chat.completions.parse(asked).catch((error) => {
    assert.match(String(error), /length/); // what the client makes of an answer that was cut
  });
  if (answer) assert.equal(typeof JSON.parse(text(answer)).sure, "boolean");
});
test("json_object begins an object", async () => {
  const messages = [{ role: "user", content: "What is a slipway? Answer as JSON." }];
  assert.ok(text(await chat({ messages, response_format: { type: "json_object" }, max_tokens: 100 })).trimStart().startsWith("{"));
});
test("tool_choice none calls no tool", async () => {
  const [choice] = (await chat({ tools: TOOLS, tool_choice: "none" })).choices;
  assert.equal((choice.message.tool_calls ?? []).length, 0);
  assert.ok(choice.message.content.length > 0);
});
test("a named tool is called", async () => {
  const [choice] = (await chat({ tools: TOOLS, tool_choice: DEPTH, max_tokens: 200 })).choices;
  assert.equal(choice.message.tool_calls[0].function.name, "depth");
  assert.deepEqual(Object.keys(JSON.parse(choice.message.tool_calls[0].function.arguments)), ["at"]);
});
test("a required tool is called", async () => {
  const [choice] = (await chat({ tools: TOOLS, tool_choice: "required", max_tokens: 300 })).choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.ok(["depth", "tide"].includes(choice.message.tool_calls[0].function.name));
});
test("the streaming helper puts a called tool together", async () => {
  const stream = client.chat.completions.stream({ model, messages: HELLO, temperature: 0, max_tokens: 200, tools: TOOLS, tool_choice: DEPTH });
  const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
  assert.equal(call.function.name, "depth");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["at"]);
});
test("tools and tool messages are taken", async () => {
  const tool = { type: "function", function: { name: "depth", parameters: { type: "object", properties: {} } } };
  const call = { id: "1", type: "function", function: { name: "depth", arguments: "{}" } };
  const messages = [...HELLO, { role: "assistant", content: null, tool_calls: [call] }, { role: "tool", tool_call_id: "1", content: "7" }];
  assert.ok((await chat({ messages, tools: [tool] })).choices.length === 1);
});
for (const [options, param] of [
  [{ temperature: 2.5 }, "temperature"],
  [{ temperature: -1 }, "temperature"],
  [{ top_p: 1.5 }, "top_p"],
  [{ max_tokens: -1 }, "max_tokens"],
  [{ n: 0 }, "n"],
  [{ presence_penalty: 3 }, "presence_penalty"],
  [{ top_logprobs: 21, logprobs: true }, "top_logprobs"],
  [{ stop: [5] }, "stop"],
  [{ response_format: { type: "yaml" } }, "response_format"],
  [{ messages: [] }, "messages"],
]) {
  test(`${JSON.stringify(options)} is a 400 that names ${param}`, () =>
    refused(() => chat(options), 400, (error) => {
      assert.ok(`${error.param} ${error.message}`.includes(param), error.message);
    }));
}
test("an unknown model is a 404", () => refused(() => chat({ model: "nobody/nothing" }), 404));
test("a wrong key is a 401", () => refused(() => new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list(), 401));
test("broken JSON is a 400", async () => { assert.equal((await post("/v1/chat/completions", "{")).status, 400); });
test("a bad request is an invalid_request_error", () => refused(() => chat({ temperature: -1 }), 400, (error) => { assert.equal(error.type, "invalid_request_error"); }));
test("too long a prompt is refused", () =>
  refused(() => chat({ messages: [{ role: "user", content: "far too long ".repeat(320) }] }), 400, (error) => { assert.match(error.message, /context/); }));
test("models are listed", async () => {
  const ids = [];
  for await (const each of client.models.list()) ids.push(each.id);
  assert.ok(ids.includes(model));
});
test("a model is retrieved by its name", async () => { assert.equal((await client.models.retrieve(model)).id, model); });
test("a completion has its shape", async () => {
  const answer = await complete();
  assert.equal(answer.object, "text_completion");
  assert.equal(answer.usage.completion_tokens, 4);
});
test("several prompts are completed in their order", async () => {
  const both = await complete({ prompt: ["A ramp on", "The sea is"] });
  assert.equal(both.choices[1].text, (await complete({ prompt: "The sea is" })).choices[0].text);
});
test("completions stream", async () => {
  const chunks = await collected(complete({ stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), (await complete()).choices[0].text);
});
test("n completions of each prompt", async () => {
  const answer = await complete({ prompt: ["A ramp on", "The sea is"], n: 2, temperature: 1 });
  assert.deepEqual(answer.choices.map((each) => each.index), [0, 1, 2, 3]);
});
test("a prompt may be tokens", async () => { assert.equal((await complete({ prompt: [300, 301, 302] })).usage.prompt_tokens, 3); });
test("echo gives the prompt back too", async () => {
  assert.equal((await complete({ echo: true })).choices[0].text, `A ramp on${(await complete()).choices[0].text}`);
});
test("completion logprobs", async () => {
  const { logprobs } = (await complete({ logprobs: 2 })).choices[0];
  assert.equal(logprobs.tokens.length, 4);
  assert.ok(logprobs.top_logprobs.every((each) => Object.keys(each).length === 2));
});
