// One sekisho for one run of the tests: a data directory, its libraries, its HTTP server, all removed at the end.

import { execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url));
const COMMAND_MS_MAX = 30_000;
// Indexing a corpus with an unoptimised build is the one step that may take longer than a call ever may.
const INDEX_MS_MAX = 120_000;
export const PARAGRAPHS = 400;

/** The inherited environment without its SEKISHO_ keys (they configure), plus server.env. */
export function serverEnvironment() {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith("SEKISHO_"));
  const lines = readFileSync(new URL("../server.env", import.meta.url), "utf8").split("\n");
  const settings = lines.filter((line) => line.includes("=") && !line.startsWith("#")).map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return Object.fromEntries([...inherited, ...settings]);
}

/** Where the test documents are, whether or not anything is there. */
function corpora() {
  return process.env.SEKISHO_CORPORA || join(CHECKOUT, "..", "shared", "corpora");
}

export class World {
  #server;
  #edits = 0;

  constructor(binary) {
    this.binary = binary;
    this.directory = mkdtempSync(join(tmpdir(), "sekisho-ts-"));
    this.data = join(this.directory, "data");
    this.notes = join(this.directory, "notes");
    this.serverLog = join(this.directory, "server.log");
    /** Where the stdio servers write their stderr: an open file, as their transports want it. */
    this.stdioLog = openSync(join(this.directory, "stdio.log"), "a");
    /** Questions whose answer a library surely holds: `expected` is part of one of the first `within` paths. */
    this.probes = [];
    this.url = "";
  }

  get token() {
    return readFileSync(join(this.data, "http-token"), "utf8").trim();
  }

  command(...args) {
    return ["--data-dir", this.data, ...args];
  }

  /** Runs one sekisho command to its end and gives its stdout; a failure carries what it said. */
  async run(args, timeout = COMMAND_MS_MAX) {
    const running = promisify(execFile)(this.binary, this.command(...args), { env: serverEnvironment(), timeout });
    running.child.stdin.end();
    try {
      return (await running).stdout;
    } catch (error) {
      throw new Error(`sekisho ${args.join(" ")} ended with ${error.code ?? error.signal}: ${(error.stderr ?? "").trim().slice(-600)}`);
    }
  }

  /** Starts `sekisho quickstart` and adds the libraries while it serves. */
  async build() {
    mkdirSync(this.notes);
    writeFileSync(join(this.notes, "first.md"), "# First note\n\nThe heron stands in the shallow water.\n");
    const marker = (number) => `Marker${String(number).padStart(4, "0")} and a few words more, so that a page is soon full.`;
    const paragraphs = Array.from({ length: PARAGRAPHS }, (_, number) => marker(number)).join("\n\n");
    writeFileSync(join(this.notes, "long.md"), `# A long note\n\n${paragraphs}\n`);

    await this.serve("quickstart");
    await this.run(["library", "add", "notes", this.notes]);
    for (const [folder, probe] of [
      ["expo-docs/md", { library: "expo", query: "ask for camera permission", expected: "camera", within: 3 }],
      ["react-docs-ja", { library: "react-ja", query: "副作用のクリーンアップ", expected: "effect", within: 10 }],
    ]) {
      if (existsSync(join(corpora(), folder))) {
        await this.run(["library", "add", probe.library, join(corpora(), folder)], INDEX_MS_MAX);
        this.probes.push(probe);
      } else {
        console.error(`no ${folder} under the corpora: searching the built-in manual and the notes only`);
      }
    }
  }

  /** Starts the HTTP server and waits for the line that says where it listens. */
  serve(how) {
    const log = openSync(this.serverLog, "a");
    const server = spawn(this.binary, this.command(how), { env: serverEnvironment(), stdio: ["ignore", "pipe", log] });
    closeSync(log);
    this.#server = server;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`sekisho ${how} did not say where it serves`)), INDEX_MS_MAX);
      server.once("error", reject);
      server.once("exit", (code) => reject(new Error(`sekisho ${how} ended with ${code} before it was ready: ${this.said()}`)));
      createInterface({ input: server.stdout }).on("line", (line) => {
        const found = /Serving MCP at (http:\/\/\S+\/mcp)/.exec(line);
        if (found) {
          clearTimeout(timer);
          this.url = found[1];
          resolve();
        }
      });
    });
  }

  said() {
    return existsSync(this.serverLog) ? readFileSync(this.serverLog, "utf8").trim().slice(-1500) : "";
  }

  stdioSaid() {
    return readFileSync(join(this.directory, "stdio.log"), "utf8").trim().slice(-1500);
  }

  /** Asks the server to stop as an init system does, and gives its exit code. */
  stopServer() {
    const server = this.#server;
    this.#server = undefined;
    if (server.exitCode !== null || server.signalCode !== null) return Promise.resolve(server.exitCode);
    return new Promise((resolve) => {
      const timer = setTimeout(() => server.kill("SIGKILL"), COMMAND_MS_MAX);
      server.once("exit", (code, signal) => {
        clearTimeout(timer);
        resolve(code ?? signal);
      });
      server.kill("SIGTERM");
    });
  }

  /** Rewrites the first note to another length and synchronises its library. */
  async changeFirstNote() {
    this.#edits += 1;
    writeFileSync(join(this.notes, "first.md"), `# First note\n\nThe heron left${", and came back".repeat(this.#edits)}.\n`);
    await this.run(["library", "sync", "notes"]);
  }

  /** Puts a page into the notes that was not there before, and synchronises. */
  async addANote() {
    this.#edits += 1;
    writeFileSync(join(this.notes, `added-${this.#edits}.md`), `# Added note ${this.#edits}\n\nNew.\n`);
    await this.run(["library", "sync", "notes"]);
  }

  /** The last entries of the audit log, each a line of JSON. */
  async auditLines() {
    return (await this.run(["--json", "audit", "tail"])).split("\n").filter((line) => line.trim() !== "");
  }

  remove() {
    this.#server?.kill("SIGKILL");
    closeSync(this.stdioLog);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
