import assert from "node:assert/strict";
import { test } from "node:test";

import { client } from "./given.mjs";

test("a text is judged", async () => {
  const answer = await client.moderations.create({ input: "I want to kill them." });
  assert.equal(answer.model, "omni-moderation-latest");
  assert.equal(answer.results.length, 1);
  assert.equal(answer.results[0].flagged, true);
  assert.equal(answer.results[0].categories["violence"], true);
  assert.deepEqual(answer.results[0].category_applied_input_types["violence"], ["text"]);
});

test("a list has a result for each text", async () => {
  const input = ["There is a kitten on the sofa.", "I want to kill them."];
  const answer = await client.moderations.create({ model: "omni-moderation-latest", input });
  assert.deepEqual(answer.results.map((result) => result.flagged), [false, true]);
});
