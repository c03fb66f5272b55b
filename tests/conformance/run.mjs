// The official conformance suites against a sekisho binary with its fixtures: `run.mjs BINARY MODULES_DIR`.
//
// A suite that lost scenarios would pass with less, so the totals are required exactly as they were when pinned.

import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const SUITES = [
  { name: "0.1.16 all scenarios", module: "conformance-stable", flags: ["--suite", "all"], checks: 46 },
  { name: "0.2.0-alpha.12 2025-11-25", module: "conformance-next", flags: ["--suite", "all", "--spec-version", "2025-11-25"], checks: 83 },
  // `--requirements` is the set that also runs the extensions (tasks) of this revision.
  { name: "0.2.0-alpha.12 2026-07-28", module: "conformance-next", flags: ["--requirements", "2026-07-28"], checks: 197 },
];
const SUITE_MS_MAX = 300_000;
const COMMAND_MS_MAX = 30_000;
const READY_MS_MAX = 60_000;

/** The inherited environment without its SEKISHO_ keys, plus the tests' server.env, plus what only the suites need. */
function serverEnvironment() {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("SEKISHO_"));
  const lines = readFileSync(new URL("../clients/server.env", import.meta.url), "utf8").split("\n");
  const settings = lines.filter((line) => line.includes("=") && !line.startsWith("#")).map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return { ...Object.fromEntries(inherited), ...Object.fromEntries(settings), SEKISHO_HTTP_AUTHENTICATION: "none" };
}

/** Resolves to the address that `sekisho serve` prints when it is ready. */
function readyAt(server) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the server did not say where it serves")), READY_MS_MAX);
    server.once("error", reject);
    server.once("exit", (code) => reject(new Error(`the server ended with ${code} before it was ready`)));
    createInterface({ input: server.stdout }).on("line", (line) => {
      const found = /Serving MCP at (http:\/\/\S+\/mcp)/.exec(line);
      if (found) {
        clearTimeout(timer);
        resolve(found[1]);
      }
    });
  });
}

function stop(server) {
  return new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) return resolve(server.exitCode);
    const timer = setTimeout(() => server.kill("SIGKILL"), COMMAND_MS_MAX);
    server.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
    server.kill("SIGTERM");
  });
}

/** Runs one suite; its own failures are printed, and the count of its checks must be the pinned one. */
function runSuite(suite, modules, url) {
  const script = join(modules, suite.module, "dist", "index.js");
  const done = spawnSync(process.execPath, [script, "server", "--url", url, ...suite.flags], {
    encoding: "utf8",
    timeout: SUITE_MS_MAX,
    maxBuffer: 1 << 28,
  });
  const output = `${done.stdout ?? ""}${done.stderr ?? ""}`;
  const total = [...output.matchAll(/^Total: (\d+) passed, (\d+) failed/gm)].at(-1);
  const [passed, failed] = total ? [Number(total[1]), Number(total[2])] : [0, 0];
  // Warnings stand beside the counts and turn a scenario's mark; a scenario with one is reported as not clean.
  const unclean = output.split("\n").filter((line) => line.startsWith("✗ ") || line.startsWith("    - "));
  const wrong = [];
  if (done.error) wrong.push(`it did not run to its end: ${done.error.message}`);
  if (!total) wrong.push(`no total in its output: ${output.slice(-600)}`);
  if (failed > 0 || unclean.length > 0) wrong.push(unclean.join("; ") || `${failed} failed`);
  if (total && passed + failed !== suite.checks) wrong.push(`${passed + failed} checks where ${suite.checks} are pinned`);
  if (done.status !== 0 && wrong.length === 0) wrong.push(`it ended with ${done.status}`);
  if (wrong.length === 0) {
    console.log(`ok conformance ${suite.name}: ${passed} checks`);
  } else {
    console.log(`FAIL conformance ${suite.name}: ${wrong.join("; ")}`);
  }
  return { passed, failed: wrong.length === 0 ? 0 : Math.max(1, failed) };
}

async function main(binary, modules) {
  const directory = mkdtempSync(join(tmpdir(), "sekisho-conformance-"));
  const env = serverEnvironment();
  const serverLog = join(directory, "server.log");
  const sekisho = (...args) =>
    spawnSync(binary, ["--data-dir", join(directory, "data"), ...args], { env, encoding: "utf8", timeout: COMMAND_MS_MAX });
  const score = { passed: 0, failed: 0 };
  const count = (name, why) => {
    console.log(why === "" ? `ok conformance ${name}` : `FAIL conformance ${name}: ${why}`);
    score[why === "" ? "passed" : "failed"] += 1;
  };
  let server;
  try {
    const init = sekisho("init");
    if (init.status !== 0) throw new Error(`sekisho init ended with ${init.status}: ${init.error ?? init.stderr}`);
    const log = openSync(serverLog, "w");
    server = spawn(binary, ["--data-dir", join(directory, "data"), "serve"], { env, stdio: ["ignore", "pipe", log] });
    closeSync(log);
    const url = await readyAt(server);
    for (const suite of SUITES) {
      const { passed, failed } = runSuite(suite, modules, url);
      score.passed += passed;
      score.failed += failed;
    }
    const code = await stop(server);
    count("the server stops when asked", code === 0 ? "" : `it ended with ${code}`);
    const verify = sekisho("audit", "verify");
    count("the audit log verifies", verify.status === 0 ? "" : `ended with ${verify.status}: ${verify.error ?? `${verify.stdout}${verify.stderr}`}`);
  } catch (error) {
    count("prepares", error.message);
  } finally {
    if (server) await stop(server);
    if (score.failed > 0) {
      try {
        console.error(`--- the server said\n${readFileSync(serverLog, "utf8").slice(-2000)}`);
      } catch {
        console.error("--- the server never started");
      }
    }
    rmSync(directory, { recursive: true, force: true });
  }
  console.log(`conformance: ${score.passed} passed, ${score.failed} failed`);
  return score.failed > 0 || score.passed === 0 ? 1 : 0;
}

const [binary, modules] = process.argv.slice(2);
if (!binary || !modules) {
  console.error("usage: run.mjs BINARY MODULES_DIR");
  process.exit(2);
}
process.exit(await main(binary, modules));
