// Chat completions, whole and streamed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { becomesIdle, client, helpers, said } from "./given.mjs";

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

test("answers", async () => {
  const answer = await client.chat.completions.create(said("Hello"));
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.model, "gpt-4o-2024-08-06");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  assert.match(answer._request_id, /^req_/);
});

test("lists models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("gpt-4o"));
  assert.equal((await client.models.retrieve("gpt-4o")).object, "model");
});

test("streams chunks that join to the whole answer", async () => {
  const whole = await client.chat.completions.create(said("Hello"));
  const chunks = [];
  const stream = await client.chat.completions.create(said("Hello", { stream: true }));
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(textOf(chunks), whole.choices[0].message.content);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => chunk.usage == null));
});

test("ends a stream with usage where asked for", async () => {
  const request = said("Hello", { stream: true, stream_options: { include_usage: true } });
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(request)) chunks.push(chunk);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0);
  assert.ok(chunks.every((chunk) => chunk.usage === null && chunk.choices.length === 1));
});

test("streams to the helper with its events", async () => {
  const stream = helpers.stream(said("Hello"));
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const whole = await stream.finalChatCompletion();
  assert.equal(whole.choices[0].message.content, text);
  assert.equal(await stream.finalContent(), text);
});

test("hands a stream on to a web stream", async () => {
  const stream = await client.chat.completions.create(said("Hello", { stream: true }));
  const lines = await new Response(stream.toReadableStream()).text();
  const chunks = lines.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(textOf(chunks).length > 0);
});

test("frees the slot when a stream is aborted", async () => {
  const stream = await client.chat.completions.create(
    said("slowly", { model: "scripted", stream: true }),
  );
  let seen = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    if (++seen === 3) stream.controller.abort();
  }
  assert.ok(seen >= 3 && seen < 400);
  assert.ok(await becomesIdle());
});

test("frees the slot when the reader leaves the loop", async () => {
  const stream = await client.chat.completions.create(
    said("slowly", { model: "scripted", stream: true }),
  );
  for await (const chunk of stream) {
    assert.equal(chunk.choices[0].delta.role, "assistant");
    break;
  }
  assert.ok(await becomesIdle());
});

test("frees the slot when a request is aborted", async () => {
  const signal = AbortSignal.timeout(200);
  await assert.rejects(
    client.chat.completions.create(said("slowly", { model: "scripted" }), { signal }),
  );
  assert.ok(await becomesIdle());
});

test("answers sixteen at once", async () => {
  const questions = Array.from({ length: 16 }, (_, number) => `Question number ${number}`);
  const answers = await Promise.all(
    questions.map((question) =>
      client.chat.completions.create(said(question, { model: "scripted" })),
    ),
  );
  assert.deepEqual(
    answers.map((answer) => answer.choices[0].message.content),
    questions,
  );
});
