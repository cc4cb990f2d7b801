// Assistants, threads and messages with the npm client.

import assert from "node:assert/strict";
import { test } from "node:test";

import { client, december, sdk } from "./given.mjs";

const { assistants, threads } = client.beta;
const remove = (of, id) => (december ? of.del(id) : of.delete(id));
const inThread = (method, thread, id, body) => {
  const { messages } = threads;
  if (december) return messages[method](thread, id, ...(body ? [body] : []));
  const name = method === "del" ? "delete" : method;
  return messages[name](id, { thread_id: thread, ...body });
};
const text = (message) => message.content[0].text.value;

test("an assistant is made, changed and deleted", async () => {
  const made = await assistants.create({
    model: "gpt-4o",
    tools: [{ type: "code_interpreter" }, { type: "function", function: { name: "f" } }],
    metadata: { k: "v" },
  });
  assert.deepEqual(await assistants.retrieve(made.id), made);
  const changed = await assistants.update(made.id, { name: "A", tools: [] });
  assert.deepEqual(changed, { ...made, name: "A", tools: [] });
  assert.equal((await remove(assistants, made.id)).deleted, true);
  await assert.rejects(assistants.retrieve(made.id), sdk.NotFoundError);
});

test("a list of assistants pages by itself", async () => {
  const made = [];
  for (let n = 0; n < 3; n++) made.push((await assistants.create({ model: "gpt-4o" })).id);
  const listed = [];
  for await (const one of assistants.list({ limit: 1, order: "asc" })) listed.push(one.id);
  assert.deepEqual(listed.filter((id) => made.includes(id)), made);
  for (const id of made) await remove(assistants, id);
});

test("a thread is made, changed and deleted with its messages", async () => {
  const begun = [..."abc"].map((content) => ({ role: "user", content }));
  const thread = await threads.create({ messages: begun });
  const changed = await threads.update(thread.id, { metadata: { k: "v" } });
  assert.deepEqual(changed, { ...thread, metadata: { k: "v" } });
  const listed = [];
  for await (const one of threads.messages.list(thread.id, { limit: 2 })) listed.push(text(one));
  assert.deepEqual(listed, ["c", "b", "a"]);
  assert.equal((await remove(threads, thread.id)).deleted, true);
  await assert.rejects(threads.retrieve(thread.id), /No thread found with id/);
});

test("a message brings parts and files", async () => {
  const notes = await sdk.toFile(Buffer.from("Two notes."), "notes.txt");
  const file = await client.files.create({ file: notes, purpose: "assistants" });
  const thread = await threads.create();
  const made = await threads.messages.create(thread.id, {
    role: "user",
    content: [
      { type: "text", text: "Look:" },
      { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
    ],
    attachments: [{ file_id: file.id, tools: [{ type: "file_search" }] }],
  });
  assert.deepEqual([text(made), made.content[1].image_url.detail], ["Look:", "low"]);
  assert.deepEqual(await inThread("retrieve", thread.id, made.id), made);
  const { tool_resources: resources } = await threads.retrieve(thread.id);
  assert.equal(resources.file_search.vector_store_ids.length, 1);
  const changed = await inThread("update", thread.id, made.id, { metadata: { k: "v" } });
  assert.deepEqual(changed, { ...made, metadata: { k: "v" } });
  assert.equal((await inThread("del", thread.id, made.id)).deleted, true);
  await remove(threads, thread.id);
  await remove(client.files, file.id);
});
