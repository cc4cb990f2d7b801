// Runs with the npm client and its helpers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { client, december } from "./given.mjs";

const { assistants, threads } = client.beta;
const clock = { type: "function", function: { name: "get_time" } };
const messages = [{ role: "user", content: "Hello there" }];
const ended = [
  "thread.run.created",
  "thread.run.queued",
  "thread.run.in_progress",
  "thread.run.step.created",
  "thread.run.step.in_progress",
  "thread.message.created",
  "thread.message.in_progress",
  "thread.message.delta",
  "thread.message.delta",
  "thread.message.completed",
  "thread.run.step.completed",
  "thread.run.completed",
];
const poll = { pollIntervalMs: 20 };
// The client of December 2024 takes ids in another place.
const submit = (how, run, tool_outputs, options) => {
  if (december) return threads.runs[how](run.thread_id, run.id, { tool_outputs }, options);
  return threads.runs[how](run.id, { thread_id: run.thread_id, tool_outputs }, options);
};
const outputs = (run) =>
  run.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({ tool_call_id: id, output: "noon" }));
const waiting = async () => {
  const { id } = await threads.create({ messages });
  return threads.runs.createAndPoll(id, { assistant_id: assistant.id, tool_choice: "required" }, poll);
};
const answer = async (run) => (await threads.messages.list(run.thread_id)).data[0].content[0].text.value;

let assistant;
before(async () => {
  assistant = await assistants.create({ model: "scripted", tools: [clock] });
});
after(async () => {
  await (december ? assistants.del(assistant.id) : assistants.delete(assistant.id));
});

test("a created run is polled to its end", async () => {
  const run = await threads.createAndRunPoll({ assistant_id: assistant.id, thread: { messages } }, poll);
  assert.equal(run.status, "completed");
  assert.equal(await answer(run), "Hello there");
});

test("a stream tells every event", async () => {
  const { id } = await threads.create({ messages });
  const stream = threads.runs.stream(id, { assistant_id: assistant.id });
  const [events, text] = [[], []];
  stream.on("event", ({ event }) => events.push(event)).on("textDelta", ({ value }) => text.push(value));
  const [message] = await stream.finalMessages();
  assert.deepEqual(events.filter((event) => event !== "done"), ended);
  assert.equal(text.join(""), "Hello there");
  assert.equal(message.content[0].text.value, "Hello there");
});

test("a stream of a new thread begins with it", async () => {
  const events = [];
  for await (const { event } of threads.createAndRunStream({ assistant_id: assistant.id, thread: { messages } })) {
    events.push(event);
  }
  assert.deepEqual(events.filter((event) => event !== "done"), ["thread.created", ...ended]);
});

test("outputs are submitted and polled", async () => {
  const asked = await waiting();
  assert.equal(asked.status, "requires_action");
  const run = await submit("submitToolOutputsAndPoll", asked, outputs(asked), poll);
  assert.equal(run.status, "completed");
  assert.equal(await answer(run), "Hello there");
});

test("outputs are submitted and streamed", async () => {
  const asked = await waiting();
  const stream = submit("submitToolOutputsStream", asked, outputs(asked));
  const events = [];
  stream.on("event", ({ event }) => events.push(event));
  const run = await stream.finalRun();
  assert.equal(run.status, "completed");
  assert.deepEqual(events.filter((event) => event !== "done"), ["thread.run.step.completed", ...ended.slice(1)]);
});
