// The 2.x line of the official SDK, which speaks 2026-07-28.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { strict as assert } from "node:assert";

import { Heard } from "./heard.mjs";

export const GENERATION = "2026-07-28";
export const SDK = "client-2.4.0";

// Less than a check may take, so that a server which says nothing is closed and not left behind.
const CONNECT_MS_MAX = 10_000;

class Wire {
  constructor(client) {
    this.client = client;
    this.protocol = client.getNegotiatedProtocolVersion();
    this.serverName = client.getServerVersion()?.name ?? "";
    this.capabilities = client.getServerCapabilities() ?? {};
    this.heard = new Heard();
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => this.heard.tell("updated", params.uri));
    client.setNotificationHandler("notifications/resources/list_changed", () => this.heard.tell("list_changed", ""));
  }

  call(name, args, options) {
    return this.client.callTool({ name, arguments: args }, options);
  }

  /** A `subscriptions/listen` stream for one resource and the list, open while `body` runs. */
  async listening(uri, body) {
    const subscription = await this.client.listen({ resourcesListChanged: true, resourceSubscriptions: [uri] });
    try {
      assert.deepEqual(subscription.honoredFilter, { resourcesListChanged: true, resourceSubscriptions: [uri] });
      await body(this.heard);
    } finally {
      await subscription.close();
    }
  }

  close() {
    return this.client.close();
  }
}

async function opened(transport) {
  const client = new Client({ name: "sekisho-tests", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  try {
    await client.connect(transport, { timeout: CONNECT_MS_MAX });
  } catch (error) {
    await transport.close();
    throw error;
  }
  return new Wire(client);
}

export function overStdio(command, args, env, log) {
  return opened(new StdioClientTransport({ command, args, env, stderr: log }));
}

export function overHttp(url, headers) {
  return opened(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
}
