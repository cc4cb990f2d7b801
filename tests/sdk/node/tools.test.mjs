// Tools, and the helpers that parse answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { client, helpers, said, WEATHER, zodFunction, zodResponseFormat } from "./given.mjs";

const Person = z.object({ name: z.enum(["Anna", "Ben"]), age: z.number() });
const QUESTION = "What is the weather in Paris?";

test("calls a tool and takes its result", async () => {
  const request = said(QUESTION, { tools: [WEATHER], tool_choice: "required" });
  const asked = await client.chat.completions.create(request);
  assert.equal(asked.choices[0].finish_reason, "tool_calls");
  const { message } = asked.choices[0];
  assert.equal(message.content, null);
  const results = message.tool_calls.map((call) => {
    assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
    return { role: "tool", tool_call_id: call.id, content: "Sunny" };
  });
  const answer = await client.chat.completions.create({
    ...request,
    tool_choice: "none",
    messages: [...request.messages, message, ...results],
  });
  assert.equal(answer.choices[0].message.tool_calls, undefined);
  assert.ok(answer.choices[0].message.content);
});

test("streams two calls with an index each", async () => {
  const stream = helpers.stream(said("two tools", { model: "scripted", tools: [WEATHER] }));
  const { message } = (await stream.finalChatCompletion()).choices[0];
  assert.deepEqual(
    message.tool_calls.map((call) => JSON.parse(call.function.arguments)),
    [{ city: "Paris" }, { city: "Tokyo" }],
  );
});

test("runs tools to the end", async () => {
  const cities = [];
  const tool = {
    type: "function",
    function: {
      ...WEATHER.function,
      strict: undefined,
      parse: JSON.parse,
      function: ({ city }) => {
        cities.push(city);
        return { weather: "sunny" };
      },
    },
  };
  const runner = helpers.runTools(said(QUESTION, { tools: [tool] }), { maxChatCompletions: 4 });
  await runner.done();
  assert.ok(cities.length > 0);
  const roles = runner.messages.map((message) => message.role);
  assert.deepEqual(roles.slice(0, 3), ["user", "assistant", "tool"]);
});

test("streams while it runs tools", async () => {
  const tool = {
    type: "function",
    function: { ...WEATHER.function, strict: undefined, parse: JSON.parse, function: () => "Sunny" },
  };
  const request = said(QUESTION, { tools: [tool], stream: true });
  const runner = helpers.runTools(request, { maxChatCompletions: 4 });
  let chunks = 0;
  for await (const chunk of runner) chunks += chunk.choices.length;
  assert.ok(chunks > 2);
});

test("parses an answer into the schema", async () => {
  const format = zodResponseFormat(Person, "person");
  const answer = await helpers.parse(said("Who?", { response_format: format }));
  assert.ok(Person.safeParse(answer.choices[0].message.parsed).success);
});

test("parses arguments into the schema", async () => {
  const tools = [zodFunction({ name: "remember", parameters: Person })];
  const answer = await helpers.parse(said("Who?", { tools, tool_choice: "required" }));
  const [call] = answer.choices[0].message.tool_calls;
  assert.ok(Person.safeParse(call.function.parsed_arguments).success);
});

test("streams an answer that is parsed at the end", async () => {
  const format = zodResponseFormat(Person, "person");
  const stream = helpers.stream(said("Who?", { response_format: format }));
  const whole = await stream.finalChatCompletion();
  assert.ok(Person.safeParse(whole.choices[0].message.parsed).success);
});
