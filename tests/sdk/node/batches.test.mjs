// Batches with the npm client.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { client, sdk } from "./given.mjs";

const url = "/v1/chat/completions";
const line = (custom_id) => {
  const messages = [{ role: "user", content: "Hi" }];
  return JSON.stringify({ custom_id, method: "POST", url, body: { model: "gpt-4o", max_tokens: 4, messages } });
};
const start = async (...ids) => {
  const file = await sdk.toFile(Buffer.from(ids.map(line).join("\n")), "input.jsonl");
  const { id } = await client.files.create({ file, purpose: "batch" });
  return client.batches.create({ input_file_id: id, endpoint: url, completion_window: "24h" });
};
const ended = async ({ id }) => {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (["completed", "failed", "expired", "cancelled"].includes(batch.status)) return batch;
    await setTimeout(50);
  }
};

test("a batch answers each request", async () => {
  const batch = await ended(await start("a", "b"));
  assert.equal(batch.status, "completed");
  assert.deepEqual(batch.request_counts, { total: 2, completed: 2, failed: 0 });
  const text = await (await client.files.content(batch.output_file_id)).text();
  const ids = text.trim().split("\n").map((each) => JSON.parse(each).custom_id);
  assert.deepEqual(ids.toSorted(), ["a", "b"]);
});

test("a wrong line is told", async () => {
  const batch = await ended(await start("a", "a"));
  assert.equal(batch.status, "failed");
  assert.deepEqual(batch.errors.data.map(({ code, line }) => [code, line]), [["duplicate_custom_id", 2]]);
});

test("a list of batches pages by itself", async () => {
  const mine = [(await start("a")).id, (await start("b")).id];
  const listed = [];
  for await (const batch of client.batches.list({ limit: 1 })) listed.push(batch.id);
  assert.deepEqual(listed.filter((id) => mine.includes(id)), mine.toReversed());
});
