// The 1.x line of the official SDK, which speaks the protocol versions with a handshake.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ResourceListChangedNotificationSchema, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { setTimeout as sleep } from "node:timers/promises";

import { Heard } from "./heard.mjs";

export const GENERATION = "2025-11-25";
export const SDK = "sdk-1.32.2";

// Less than a check may take, so that a server which says nothing is closed and not left behind.
const CONNECT_MS_MAX = 10_000;

class Wire {
  constructor(client, protocol) {
    this.client = client;
    this.protocol = protocol;
    this.serverName = client.getServerVersion()?.name ?? "";
    this.capabilities = client.getServerCapabilities() ?? {};
    this.heard = new Heard();
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => this.heard.tell("updated", params.uri));
    client.setNotificationHandler(ResourceListChangedNotificationSchema, () => this.heard.tell("list_changed", ""));
  }

  call(name, args, options) {
    return this.client.callTool({ name, arguments: args }, undefined, options);
  }

  /** Subscribed to one resource while `body` runs; list changes come unasked in this generation. */
  async listening(uri, body) {
    await this.client.subscribeResource({ uri });
    // Over HTTP the notifications come on a GET stream, which the SDK opens by itself after the handshake.
    await sleep(500);
    await body(this.heard);
    await this.client.unsubscribeResource({ uri });
  }

  async close() {
    // Ends the session as a polite client does; a server may answer that it keeps none.
    await this.client.transport?.terminateSession?.().catch(() => {});
    await this.client.close();
  }
}

async function opened(transport) {
  const client = new Client({ name: "sekisho-tests", version: "1.0.0" });
  // The SDK tells the agreed version only to a transport that asks for it.
  let protocol;
  const tell = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (version) => {
    protocol = version;
    tell?.(version);
  };
  try {
    await client.connect(transport, { timeout: CONNECT_MS_MAX });
  } catch (error) {
    await transport.close();
    throw error;
  }
  return new Wire(client, protocol);
}

export function overStdio(command, args, env, log) {
  return opened(new StdioClientTransport({ command, args, env, stderr: log }));
}

export function overHttp(url, headers) {
  return opened(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
}
