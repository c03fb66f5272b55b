// Drives a sekisho binary with the official TypeScript SDK, both its lines, over HTTP and stdio: `client.mjs BINARY`.

import { strict as assert } from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";

import { CHECKS, finds_what_the_corpora_hold, lists_the_libraries } from "./checks.mjs";
import * as v1 from "./wire-v1.mjs";
import * as v2 from "./wire-v2.mjs";
import { serverEnvironment, World } from "./world.mjs";

// One behaviour may wait for a command, a notification and a cancelled call, one after the other; none of them longer than this.
const CHECK_MS_MAX = 30_000;
const LINES = [v1, v2];

const score = { passed: 0, failed: 0 };

/** Runs one behaviour under the clock and says how it went. */
async function check(name, behaviour) {
  let timer;
  const clock = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${CHECK_MS_MAX / 1000} s`)), CHECK_MS_MAX);
  });
  try {
    await Promise.race([behaviour(), clock]);
    score.passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    score.failed += 1;
    console.log(`FAIL ${name}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

function reason(error) {
  return String(error?.message ?? error).split(/\s+/).join(" ").slice(0, 500);
}

/** Runs `body` on a connection that is closed whatever happens, the clock included: a hung body leaves no process. */
async function connected(connect, body) {
  const wire = await connect();
  let timer;
  const clock = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${CHECK_MS_MAX / 1000} s`)), CHECK_MS_MAX - 1000);
  });
  try {
    await Promise.race([body(wire), clock]);
  } finally {
    clearTimeout(timer);
    await wire.close();
  }
}

/** Every behaviour on a connection of its own, so that none can spoil the next. */
async function behaviours(line, transport, connect, world) {
  for (const behaviour of CHECKS) {
    // World.build said that there are no corpora.
    if (behaviour === finds_what_the_corpora_hold && world.probes.length === 0) continue;
    await check(`${line.SDK} ${transport} ${behaviour.name}`, () => connected(connect, (wire) => behaviour(wire, world, line.GENERATION)));
  }
}

async function main(binary) {
  const world = new World(binary);
  const overHttp = (line) => () => line.overHttp(world.url, { Authorization: `Bearer ${world.token}` });
  const overStdio = (line) => () => line.overStdio(binary, world.command("stdio"), serverEnvironment(), world.stdioLog);
  try {
    await world.build();
    for (const line of LINES) await behaviours(line, "http", overHttp(line), world);
    for (const line of LINES) {
      await check(`${line.SDK} http refuses_a_client_with_a_wrong_token`, async () => {
        const refused = await line.overHttp(world.url, { Authorization: "Bearer wrong" }).then(
          (wire) => wire.client.listTools().finally(() => wire.close()).then(() => "let in"),
        ).catch(() => "refused");
        assert.equal(refused, "refused");
      });
    }
    await check("both lines http serve_at_once", () =>
      connected(overHttp(v1), (one) => connected(overHttp(v2), async (other) => {
        await Promise.all([lists_the_libraries(one, world), lists_the_libraries(other, world)]);
      })));
    await check("both lines serves_stdio_beside_http", () =>
      connected(overStdio(v1), (one) => connected(overHttp(v2), async (other) => {
        await lists_the_libraries(one, world);
        await lists_the_libraries(other, world);
      })));
    await check("stops_when_asked", async () => assert.equal(await world.stopServer(), 0, world.said()));
    for (const line of LINES) await behaviours(line, "stdio", overStdio(line), world);
    await check("both lines stdio serve_at_once", () =>
      connected(overStdio(v1), (one) => connected(overStdio(v2), async (other) => {
        await Promise.all([lists_the_libraries(one, world), lists_the_libraries(other, world)]);
      })));
    await check("leaves_an_audit_log_that_verifies", () => world.run(["audit", "verify"]));
  } catch (error) {
    // The world could not be made: one failure, said once.
    score.failed += 1;
    console.log(`FAIL prepares: ${reason(error)}`);
  } finally {
    // A transport that was closed kills a server which ignores it after 4 s, and only while this process lives.
    if (score.failed > 0) await sleep(5000);
    if (score.failed > 0) console.error(`--- the server said\n${world.said()}\n--- the stdio servers said\n${world.stdioSaid()}`);
    world.remove();
  }
  console.log(`typescript: ${score.passed} passed, ${score.failed} failed`);
  return score.failed > 0 || score.passed === 0 ? 1 : 0;
}

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: client.mjs BINARY");
  process.exit(2);
}
process.exit(await main(binary));
