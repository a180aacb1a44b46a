// The TypeScript SDK as a client: lists the tools of a URL, calls `get-sum`, prints both as JSON.
//
// node client.mjs MODULES URL KEY
import { createRequire } from "node:module";

const [modules, url, key] = process.argv.slice(2);
const require = createRequire(`${modules}/any.js`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require(
  "@modelcontextprotocol/sdk/client/streamableHttp.js",
);

const headers = { Authorization: `Bearer ${key}` };
const client = new Client({ name: "typescript", version: "1" });
const progress = [];
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const { tools } = await client.listTools();
const sum = await client.callTool({ name: "get-sum", arguments: { a: 2, b: 3 } });
await client.callTool(
  { name: "trigger-long-running-operation", arguments: { duration: 0.2, steps: 2 } },
  undefined,
  { onprogress: (step) => progress.push(step.progress) },
);
await client.close();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), sum, progress }));
