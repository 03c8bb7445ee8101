// OpenAI's npm client.
import OpenAI from "openai";
import { AFTER_CALL, ASK, equal, KEY, MODEL, oneOf, PLACE, run, SENTENCE, thrown, TOOL, URL } from "./cells.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0 });
const given = { model: MODEL, messages: ASK };

await run({
  chat: async () => equal((await client.chat.completions.create(given)).choices[0].message.content, SENTENCE),
  stream: async () => {
    const stream = client.chat.completions.stream({ ...given, stream_options: { include_usage: true } });
    let text = "";
    stream.on("content", (delta) => (text += delta));
    equal((await stream.finalMessage()).content, SENTENCE);
    equal(text, SENTENCE);
  },
  tools: async () => {
    const called = [];
    const tool = { ...TOOL, function: { ...TOOL.function, parse: JSON.parse, function: ({ place }) => (called.push(place), "12:04") } };
    for (const stream of [false, true]) {
      const runner = client.chat.completions.runTools({ ...given, stream, tools: [tool] });
      equal(await runner.finalContent(), AFTER_CALL);
    }
    equal(called.join(), `${PLACE},${PLACE}`);
  },
  schema: async () => {
    const schema = { type: "object", properties: { tide: { enum: ["high", "low"] } }, required: ["tide"], additionalProperties: false };
    const response_format = { type: "json_schema", json_schema: { name: "tide", strict: true, schema } };
    const answer = await client.chat.completions.create({ ...given, response_format });
    oneOf(JSON.parse(answer.choices[0].message.content).tide, "high", "low");
  },
  errors: async () => {
    const wrong = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "wrong", maxRetries: 0 });
    await thrown(() => wrong.models.list(), OpenAI.AuthenticationError);
    const missing = await thrown(() => client.chat.completions.create({ ...given, model: "none" }), OpenAI.NotFoundError);
    equal(missing.code, "model_not_found");
    const bad = await thrown(() => client.chat.completions.create({ ...given, temperature: 9 }), OpenAI.BadRequestError);
    equal(bad.param, "temperature");
  },
  responses: async () => {
    equal((await client.responses.create({ model: MODEL, input: "When is high tide?" })).output_text, SENTENCE);
    const stream = client.responses.stream({ model: MODEL, input: "When is high tide?" });
    equal((await stream.finalResponse()).output_text, SENTENCE);
  },
});
