// Vercel's AI SDK: its provider for compatible servers (chat), and OpenAI's own (the Responses API).
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { AFTER_CALL, equal, KEY, MODEL, oneOf, PLACE, run, SENTENCE, thrown, URL } from "./cells.mjs";

const compatible = (apiKey = KEY) => createOpenAICompatible({ name: "slipway", baseURL: `${URL}/v1`, apiKey, supportsStructuredOutputs: true, includeUsage: true });
const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY });
const models = [compatible()(MODEL), openai(MODEL), openai.chat(MODEL)];
const given = { prompt: "When is high tide?", maxRetries: 0 };

await run({
  chat: async () => {
    for (const model of models) equal((await generateText({ ...given, model })).text, SENTENCE);
  },
  stream: async () => {
    for (const model of models) {
      let text = "";
      const stream = streamText({ ...given, model, onError: ({ error }) => { throw error; } });
      for await (const part of stream.textStream) text += part;
      equal(text, SENTENCE);
      equal((await stream.usage).outputTokens > 0, true);
    }
  },
  tools: async () => {
    for (const model of models) {
      const called = [];
      const execute = async ({ place }) => (called.push(place), `12:04 at ${place}`);
      const tools = { get_tide: tool({ description: "When high tide is at a place", inputSchema: z.object({ place: z.string() }), execute }) };
      const asked = { ...given, model, tools, stopWhen: stepCountIs(3) };
      equal((await generateText(asked)).text, AFTER_CALL);
      let text = "";
      for await (const part of streamText(asked).textStream) text += part;
      equal(text, AFTER_CALL);
      equal(called.join(), `${PLACE},${PLACE}`);
    }
  },
  schema: async () => {
    for (const model of models) {
      const output = Output.object({ schema: z.object({ tide: z.enum(["high", "low"]) }) });
      oneOf((await generateText({ ...given, model, output })).output.tide, "high", "low");
    }
  },
  errors: async () => {
    const refused = await thrown(() => generateText({ ...given, model: compatible("wrong")(MODEL) }), APICallError);
    equal(refused.statusCode, 401);
    const missing = await thrown(() => generateText({ ...given, model: compatible()("none") }), APICallError);
    equal(missing.statusCode, 404);
    equal(missing.message.includes(MODEL), true);
  },
});
