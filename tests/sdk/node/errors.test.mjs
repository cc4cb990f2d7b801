// Errors, as the classes that the client has for them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { becomesIdle, client, OpenAI, said } from "./given.mjs";

const { APIConnectionTimeoutError, APIError, AuthenticationError, BadRequestError } = OpenAI;
const { InternalServerError, NotFoundError } = OpenAI;

const caught = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  assert.fail("no error came");
};

test("unknown model is not found", async () => {
  const error = await caught(client.chat.completions.create(said("Hi", { model: "none" })));
  assert.ok(error instanceof NotFoundError);
  assert.equal(error.code, "model_not_found");
});

test("wrong key is an authentication error", async () => {
  const error = await caught(new OpenAI({ apiKey: "sk-wrong" }).models.list());
  assert.ok(error instanceof AuthenticationError);
  assert.equal(error.code, "invalid_api_key");
});

test("bad request names its parameter", async () => {
  const error = await caught(client.chat.completions.create(said("Hi", { temperature: 3 })));
  assert.ok(error instanceof BadRequestError);
  assert.equal(error.param, "temperature");
  assert.equal(error.type, "invalid_request_error");
  assert.match(error.message, /temperature/);
});

test("context overflow has its code", async () => {
  const error = await caught(client.chat.completions.create(said("word ".repeat(5000))));
  assert.ok(error instanceof BadRequestError);
  assert.equal(error.code, "context_length_exceeded");
});

test("operation that is not built is asked for once", async () => {
  let requests = 0;
  const counting = new OpenAI({ fetch: (...args) => (requests++, fetch(...args)) });
  const error = await caught(counting.images.generate({ prompt: "A house by the sea" }));
  assert.ok(error instanceof InternalServerError);
  assert.equal(error.status, 501);
  assert.equal(requests, 1);
});

test("overload is tried again", async () => {
  let requests = 0;
  const counting = new OpenAI({ fetch: (...args) => (requests++, fetch(...args)) });
  const request = said("overloaded", { model: "scripted" });
  const error = await caught(counting.chat.completions.create(request));
  assert.equal(error.status, 503);
  assert.equal(requests, 3);
});

test("error in the middle of a stream reaches the caller", async () => {
  const request = said("broken", { model: "scripted", stream: true });
  const stream = await client.chat.completions.create(request);
  let text = "";
  const error = await caught(
    (async () => {
      for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
    })(),
  );
  assert.ok(error instanceof APIError);
  assert.equal(error.code, "broken");
  assert.equal(text, "Once upon");
});

test("timeout is the class of the client", async () => {
  const request = said("slowly", { model: "scripted" });
  const error = await caught(client.chat.completions.create(request, { timeout: 200 }));
  assert.ok(error instanceof APIConnectionTimeoutError);
  assert.ok(await becomesIdle());
});
