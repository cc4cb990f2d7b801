// Files and uploads with the npm client.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { client, december, sdk } from "./given.mjs";

const lines = '{"custom_id": "1"}\n'.repeat(1000);
const remove = (id) => (december ? client.files.del(id) : client.files.delete(id));
const create = async () =>
  client.files.create({ file: await sdk.toFile(Buffer.from(lines), "é.jsonl"), purpose: "batch" });

test("a file comes back as it was sent", async () => {
  const made = await create();
  assert.deepEqual([made.bytes, made.filename, made.purpose], [19_000, "é.jsonl", "batch"]);
  assert.deepEqual(await client.files.retrieve(made.id), made);
  assert.equal(await (await client.files.content(made.id)).text(), lines);
  assert.equal((await remove(made.id)).deleted, true);
});

test("a file is streamed from the disk", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "case-")), "input.jsonl");
  await writeFile(path, lines);
  const made = await client.files.create({ file: createReadStream(path), purpose: "batch" });
  assert.deepEqual([made.bytes, made.filename], [19_000, "input.jsonl"]);
  await remove(made.id);
});

test("a list of files pages by itself", async () => {
  const made = [await create(), await create(), await create()];
  const listed = [];
  for await (const file of client.files.list({ limit: 1, purpose: "batch" })) listed.push(file.id);
  const mine = made.map(({ id }) => id);
  assert.deepEqual(listed.filter((id) => mine.includes(id)), mine.toReversed());
  for (const id of mine) await remove(id);
});

test("parts of an upload become a file", async () => {
  const upload = await client.uploads.create({
    bytes: 19_000,
    filename: "a.jsonl",
    mime_type: "text/jsonl",
    purpose: "batch",
  });
  const halves = [lines.slice(0, 9_000), lines.slice(9_000)];
  const parts = await Promise.all(
    halves.map(async (half) =>
      client.uploads.parts.create(upload.id, { data: await sdk.toFile(Buffer.from(half), "part") }),
    ),
  );
  const part_ids = parts.map(({ id }) => id);
  const { status, file } = await client.uploads.complete(upload.id, { part_ids });
  assert.equal(status, "completed");
  assert.equal(await (await client.files.content(file.id)).text(), lines);
  await remove(file.id);
});

test("a file that is not there is not found", async () => {
  await assert.rejects(client.files.retrieve("file-none"), sdk.NotFoundError);
});
