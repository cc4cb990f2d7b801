// What the cases ask, and how they look at the server from outside.
import { setTimeout } from "node:timers/promises";

const name = process.env.CLIENT; // as package.json names it: openai-4.77.0, openai-newest
export const sdk = await import(name);
export const { zodFunction, zodResponseFormat } = await import(`${name}/helpers/zod`);
export const OpenAI = sdk.default;
export const december = name.startsWith("openai-4.");

export const client = new OpenAI({ maxRetries: 0 });
// Where the helpers are: of December 2024 in beta.
export const helpers = december ? client.beta.chat.completions : client.chat.completions;

export const said = (content, more = {}) => ({
  model: "gpt-4o",
  messages: [{ role: "user", content }],
  temperature: 0,
  max_tokens: 200,
  ...more,
});

export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the weather of a city",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

async function busy() {
  const address = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "/metrics");
  const figures = await (await fetch(address)).text();
  const found = figures.matchAll(/^freehold_engine_busy\{.*\} (\S+)$/gm);
  return [...found].reduce((sum, [, figure]) => sum + Number(figure), 0);
}

// Whether no generation runs any more, shortly.
export async function becomesIdle() {
  const until = Date.now() + 5000;
  while (await busy()) {
    if (Date.now() > until) return false;
    await setTimeout(20);
  }
  return true;
}
