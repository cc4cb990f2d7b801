// The Vercel AI SDK with its OpenAI provider, which is told another address.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { z } from "zod";

const { embed, embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } = ai;
const openai = createOpenAI({
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
});
const Person = z.object({ name: z.enum(["Anna", "Ben"]), age: z.number().int() });
const asked = (prompt, more = {}, id = "gpt-4o") => ({
  model: openai.chat(id),
  prompt,
  temperature: 0,
  maxOutputTokens: 100,
  maxRetries: 0,
  ...more,
});
const weather = (execute) =>
  tool({ description: "Get the weather", inputSchema: z.object({ city: z.string() }), execute });

test("generates text", async () => {
  const answer = await generateText(asked("Hello", { system: "Be short." }));
  assert.ok(answer.text);
  assert.ok(["stop", "length"].includes(answer.finishReason));
  assert.equal(answer.usage.totalTokens, answer.usage.inputTokens + answer.usage.outputTokens);
  assert.equal(answer.response.modelId, "gpt-4o-2024-08-06");
});

test("streams text that joins to the whole answer", async () => {
  const whole = await generateText(asked("Hello"));
  const stream = streamText(asked("Hello"));
  const parts = [];
  for await (const part of stream.textStream) parts.push(part);
  assert.equal(parts.join(""), whole.text);
  assert.equal(await stream.finishReason, whole.finishReason);
  assert.deepEqual((await stream.usage).outputTokens, whole.usage.outputTokens);
});

test("generates an object of a schema", async () => {
  const { object } = await generateObject(asked("Who is Anna?", { schema: Person }));
  assert.ok(Person.safeParse(object).success);
});

test("streams an object of a schema", async () => {
  const stream = streamObject(asked("Who is Anna?", { schema: Person }));
  let last;
  for await (const part of stream.partialObjectStream) last = part;
  assert.deepEqual(last, await stream.object);
  assert.ok(Person.safeParse(last).success);
});

test("calls a tool", async () => {
  const tools = { get_weather: weather() };
  const request = asked("What is the weather in Paris?", { tools, toolChoice: "required" });
  const answer = await generateText(request);
  assert.equal(answer.finishReason, "tool-calls");
  assert.equal(answer.toolCalls[0].toolName, "get_weather");
  assert.deepEqual(Object.keys(answer.toolCalls[0].input), ["city"]);
});

test("runs tools and goes on with their results", async () => {
  const cities = [];
  const tools = {
    get_weather: weather(({ city }) => cities.push(city) && "Sunny"),
    get_time: weather(({ city }) => cities.push(city) && "Noon"),
  };
  const more = { tools, stopWhen: stepCountIs(2) };
  const answer = await generateText(asked("two tools", more, "scripted"));
  assert.deepEqual(cities.slice(0, 2), ["Paris", "Tokyo"]);
  assert.equal(answer.steps.length, 2);
});

test("streams tool calls", async () => {
  const tools = { get_weather: weather(), get_time: weather() };
  const stream = streamText(asked("two tools", { tools }, "scripted"));
  const cities = [];
  for await (const part of stream.fullStream) {
    if (part.type === "tool-call") cities.push(part.input.city);
  }
  assert.deepEqual(cities, ["Paris", "Tokyo"]);
});

test("completes a prompt", async () => {
  const model = openai.completion("gpt-3.5-turbo-instruct");
  assert.ok((await generateText({ ...asked("Once upon a time"), model })).text);
});

test("embeds one value and many alike", async () => {
  const model = openai.embedding("text-embedding-3-small");
  const { embedding } = await embed({ model, value: "The cat sat." });
  assert.equal(embedding.length, 1536);
  const { embeddings } = await embedMany({ model, values: ["The cat sat.", "A dog ate."] });
  assert.ok(embeddings[0].every((number, place) => Math.abs(number - embedding[place]) < 1e-5));
  assert.notDeepEqual(embeddings[0], embeddings[1]);
});

test("tells the error of the server", async () => {
  const failed = generateText(asked("Hello", {}, "no-such-model"));
  await assert.rejects(failed, (error) => {
    assert.ok(ai.APICallError.isInstance(error));
    assert.equal(error.statusCode, 404);
    assert.equal(JSON.parse(error.responseBody).error.code, "model_not_found");
    return true;
  });
});
