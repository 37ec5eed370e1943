// Runs a snippet of the replaced application's guides in Node, as its front end did in a page:
//   node run_snippet.mjs FILE BASE KEY PAGE_ID FACEBOOK_PAGE_ID
// Addresses are relative to BASE, and each request has the API key: the one addition. Prints what
// the snippet logged, and what each request was answered, as JSON.
import { readFileSync } from "node:fs";

const [file, base, key, pageId, facebookPageId] = process.argv.slice(2);
const code = readFileSync(file, "utf8")
  .replaceAll("your-page-id", pageId)
  .replaceAll("your-facebook-page-id", facebookPageId)
  .replaceAll("facebook-page-id", facebookPageId);
const printed = { logged: [], answers: [] };
const print = console.log;
console.log = (...values) => printed.logged.push(values);

const nodesFetch = globalThis.fetch;
globalThis.fetch = async (path, options) => {
  const headers = { ...options.headers, Authorization: `Bearer ${key}` };
  const response = await nodesFetch(new URL(path, base), { ...options, headers });
  printed.answers.push({ status: response.status, body: await response.clone().json() });
  return response;
};
process.on("exit", () => print(JSON.stringify(printed)));

const AsyncFunction = (async () => {}).constructor;
await new AsyncFunction("pageId", "facebookPageId", code)(pageId, facebookPageId);
