// Writes how each case ended for the suite outside, one JSON line each.
import { appendFileSync } from "node:fs";
import { basename } from "node:path";

export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type === "test:pass" || type === "test:fail") {
      if (data.details?.type === "suite" || data.file === undefined || data.name.endsWith(".mjs")) continue;
      const error = data.details?.error;
      const line = {
        case: `${basename(data.file)}::${data.name}`,
        passed: type === "test:pass",
        report: error ? String(error.cause?.stack ?? error.cause ?? error.stack) : "",
      };
      appendFileSync(process.env.CASE_RESULTS, JSON.stringify(line) + "\n");
    } else if (type === "test:stderr" || type === "test:stdout") {
      yield data.message;
    }
  }
}
