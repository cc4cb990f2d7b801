// Embeddings with the npm client; its newer versions ask for base64 unless told otherwise.

import assert from "node:assert/strict";
import { test } from "node:test";

import { client } from "./given.mjs";

const model = "text-embedding-3-small";

test("a text becomes numbers of unit length", async () => {
  const answer = await client.embeddings.create({ model, input: "The cat sat." });
  const [{ embedding }] = answer.data;
  assert.equal(embedding.length, 1536);
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
  assert.deepEqual(answer.usage, { prompt_tokens: 4, total_tokens: 4 });
});

test("both encodings hold the same numbers", async () => {
  const input = ["the cat", "a dog"];
  const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
  const packed = await client.embeddings.create({ model, input, encoding_format: "base64" });
  const numbers = packed.data.map(({ embedding }) => {
    if (typeof embedding !== "string") return Array.from(embedding);
    const bytes = Uint8Array.from(atob(embedding), (letter) => letter.charCodeAt(0));
    return Array.from(new Float32Array(bytes.buffer));
  });
  assert.deepEqual(numbers, plain.data.map(({ embedding }) => embedding));
});

test("dimensions are honoured", async () => {
  const answer = await client.embeddings.create({ model, input: [[9906, 1917]], dimensions: 16 });
  assert.equal(answer.data[0].embedding.length, 16);
});
