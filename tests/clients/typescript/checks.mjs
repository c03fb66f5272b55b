// What a client may rely on: one function per behaviour, the same for both generations of the protocol and both transports.

import { strict as assert } from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";

import { PARAGRAPHS } from "./world.mjs";

const PAGES_MAX = 500;
const NOTIFICATION_MS_MAX = 15_000;
// Long enough that an answer within CANCEL_MS_MAX can only be due to the cancellation.
const SLOW_SECONDS = 20;
const CANCEL_MS_MAX = 10_000;
const TEMPLATE = "sekisho://{library}/{path}";
const FIRST_NOTE = "sekisho://notes/first.md";

const short = (value) => (JSON.stringify(value) ?? "").slice(0, 300);

/** The structured part of a tool's result, which must also be there as text for clients that know only text. */
function structured(result) {
  assert.ok(!result.isError, `the tool reports an error: ${short(result.content)}`);
  assert.equal(result.content?.[0]?.type, "text", `no text beside the structured result: ${short(result)}`);
  assert.equal(typeof result.structuredContent, "object", `no structured result: ${short(result)}`);
  return result.structuredContent;
}

async function search(wire, library, query) {
  const found = structured(await wire.call("search_documents", { query, libraries: [library] }));
  assert.ok(found.total >= found.hits.length, `total ${found.total} is less than ${found.hits.length} hits`);
  assert.ok(found.hits.length > 0, `no hit for ${query} in ${library}`);
  for (const hit of found.hits) {
    for (const key of ["library", "path", "title", "snippet", "uri"]) assert.equal(typeof hit[key], "string", `a hit's ${key} is no text: ${short(hit)}`);
    assert.equal(hit.library, library, `asked in ${library}, found in ${hit.library}`);
    assert.ok(hit.uri.startsWith("sekisho://"), `a hit's address is ${hit.uri}`);
  }
  return found.hits;
}

/** The pages of one document, found by passing each `next` back as `cursor`. */
async function readToEnd(wire, tool, args) {
  const pages = [];
  const cursors = new Set();
  let cursor = null;
  do {
    const page = structured(await wire.call(tool, cursor === null ? args : { ...args, cursor }));
    pages.push(page.markdown);
    cursor = page.next ?? null;
    assert.ok(!cursors.has(cursor), "the same cursor came twice");
    cursors.add(cursor);
    assert.ok(pages.length < PAGES_MAX, `no end after ${PAGES_MAX} pages`);
  } while (cursor !== null);
  return pages;
}

async function everyResource(client) {
  const resources = [];
  let cursor;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await client.listResources(cursor === undefined ? undefined : { cursor });
    resources.push(...answer.resources);
    cursor = answer.nextCursor;
    if (cursor === undefined) return resources;
  }
  throw new Error(`no end after ${PAGES_MAX} pages`);
}

async function says_who_it_is(wire, _world, generation) {
  assert.equal(wire.protocol, generation);
  assert.match(wire.serverName.toLowerCase(), /sekisho/);
  for (const capability of ["tools", "resources", "prompts", "completions"]) assert.ok(wire.capabilities[capability], `no capability ${capability}`);
}

async function lists_its_tools(wire) {
  const { tools } = await wire.client.listTools();
  for (const name of ["list_libraries", "search_documents", "read_document"]) {
    const tool = tools.find((it) => it.name === name);
    assert.ok(tool, `no ${name} among ${tools.map((it) => it.name)}`);
    assert.ok(tool.title ?? tool.annotations?.title, `${name} has no title`);
    assert.ok(tool.description, `${name} has no description`);
    assert.equal(tool.annotations?.readOnlyHint, true, `${name} is not marked as reading only`);
    assert.equal(tool.inputSchema.type, "object", `${name} has no schema of its arguments`);
    assert.equal(tool.outputSchema?.type, "object", `${name} has no schema of its result`);
  }
  assert.ok(tools.find((it) => it.name === "search_documents").inputSchema.required?.includes("query"), "query is not required");
  assert.ok(tools.find((it) => it.name === "read_document").inputSchema.properties.cursor, "read_document takes no cursor");
}

async function lists_the_libraries(wire, world) {
  const found = JSON.stringify(structured(await wire.call("list_libraries", {})));
  for (const name of ["manual", "notes", ...world.probes.map((probe) => probe.library)]) assert.ok(found.includes(`"${name}"`), `no ${name} in ${short(found)}`);
}

async function finds_a_note(wire) {
  const hits = await search(wire, "notes", "heron");
  assert.equal(hits[0].path, "first.md");
  assert.match(hits[0].snippet.toLowerCase(), /heron/);
}

async function finds_the_manuals_audit_log(wire) {
  const hits = await search(wire, "manual", "audit log");
  assert.ok(hits.slice(0, 3).some((hit) => JSON.stringify(hit).toLowerCase().includes("audit")), `nothing about it in ${short(hits)}`);
}

async function finds_what_the_corpora_hold(wire, world) {
  for (const probe of world.probes) {
    const paths = (await search(wire, probe.library, probe.query)).slice(0, probe.within).map((hit) => hit.path);
    assert.ok(paths.some((path) => path.toLowerCase().includes(probe.expected)), `${probe.query} found only ${paths}`);
  }
}

async function reads_a_long_page_to_its_end(wire) {
  const pages = await readToEnd(wire, "read_document", { library: "notes", path: "long.md", tokens_max: 500 });
  const whole = pages.join("");
  assert.ok(pages.length > 1, "a long page came as one");
  assert.ok(whole.length > pages[0].length, "the pages after the first are empty");
  const markers = [...whole.matchAll(/Marker(\d{4})/g)].map((found) => Number(found[1]));
  assert.deepEqual(markers, Array.from({ length: PARAGRAPHS }, (_, number) => number), `${markers.length} of ${PARAGRAPHS} paragraphs, or not in order`);
}

async function reads_what_it_found(wire, world) {
  for (const probe of world.probes.length > 0 ? world.probes : [{ library: "manual", query: "audit log" }]) {
    const [hit] = await search(wire, probe.library, probe.query);
    const pages = await readToEnd(wire, hit.read.tool, hit.read.arguments);
    assert.ok(pages.join("").trim(), `${hit.path} is empty`);
  }
}

async function lists_and_reads_resources(wire) {
  const uris = (await everyResource(wire.client)).map((resource) => resource.uri);
  assert.equal(new Set(uris).size, uris.length, "a resource is listed twice");
  assert.ok(uris.includes(FIRST_NOTE), `the note is not among ${uris.length} resources`);
  assert.ok(uris.some((uri) => uri.startsWith("sekisho://manual/")), "the manual is not among the resources");
  const { contents } = await wire.client.readResource({ uri: FIRST_NOTE });
  assert.equal(contents[0].uri, FIRST_NOTE);
  assert.match(contents[0].text, /heron/);
}

async function completes_a_resource_address(wire) {
  const templates = (await wire.client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
  assert.ok(templates.includes(TEMPLATE), `the templates are ${templates}`);
  const ref = { type: "ref/resource", uri: TEMPLATE };
  const libraries = await wire.client.complete({ ref, argument: { name: "library", value: "no" } });
  assert.ok(libraries.completion.values.includes("notes"), `'no' was completed to ${libraries.completion.values}`);
  const paths = await wire.client.complete({ ref, argument: { name: "path", value: "lo" }, context: { arguments: { library: "notes" } } });
  assert.ok(paths.completion.values.includes("long.md"), `'lo' was completed to ${paths.completion.values}`);
}

async function gives_the_prompt(wire) {
  const names = (await wire.client.listPrompts()).prompts.map((prompt) => prompt.name);
  assert.ok(names.includes("answer_from_library"), `the prompts are ${names}`);
  const question = "Where does the heron stand?";
  const prompt = await wire.client.getPrompt({ name: "answer_from_library", arguments: { question, library: "notes" } });
  assert.ok(prompt.messages.length > 0, "the prompt has no messages");
  assert.ok(JSON.stringify(prompt.messages).includes(question), "the prompt does not hold the question");
}

async function survives_wrong_calls(wire) {
  for (const [name, args] of [
    ["search_documents", {}],
    ["search_documents", { query: 7 }],
    ["read_document", { library: "notes", path: "../../etc/passwd" }],
    ["read_document", { library: "notes", path: "missing.md" }],
    ["read_document", { library: "notes", path: "long.md", cursor: "no such cursor" }],
    ["no_such_tool", {}],
  ]) {
    // A protocol error is as good a refusal as a result that says so.
    const result = await wire.call(name, args).catch(() => ({ isError: true }));
    assert.equal(result.isError, true, `${name} ${JSON.stringify(args)} was not refused`);
  }
  await finds_a_note(wire);
}

async function cancels_a_call(wire, world) {
  const began = Date.now();
  const before = new Set(await world.auditLines());
  const abort = new AbortController();
  const call = wire.call("slow_compute", { seconds: SLOW_SECONDS }, { signal: abort.signal });
  const outcome = call.then(() => "answered", () => "refused");
  assert.equal(await Promise.race([outcome, sleep(1000, "running")]), "running", "the call ended before it was cancelled");
  abort.abort("the test changed its mind");
  assert.equal(await outcome, "refused");
  assert.ok(Date.now() - began < CANCEL_MS_MAX, "the cancelled call went on");
  await finds_a_note(wire);
  // The server writes an entry when a call is over, so an early entry proves that the work ended, not only the waiting.
  for (;;) {
    const entries = (await world.auditLines()).filter((line) => !before.has(line)).map((line) => JSON.parse(line));
    const outcomes = entries.filter((entry) => entry.operation === "slow_compute").map((entry) => entry.outcome);
    if (outcomes.length > 0) {
      assert.deepEqual(outcomes, ["undelivered"]);
      return;
    }
    assert.ok(Date.now() - began < CANCEL_MS_MAX, `the audit log does not show the cancelled call as over: ${short(entries)}`);
    await sleep(300);
  }
}

async function hears_that_a_page_changed(wire, world) {
  await wire.listening(FIRST_NOTE, async (heard) => {
    await world.changeFirstNote();
    await heard.wait(({ kind, uri }) => kind === "updated" && uri === FIRST_NOTE, NOTIFICATION_MS_MAX);
  });
  const { contents } = await wire.client.readResource({ uri: FIRST_NOTE });
  assert.match(contents[0].text, /left/);
}

async function hears_that_a_page_was_added(wire, world) {
  await wire.listening(FIRST_NOTE, async (heard) => {
    await world.addANote();
    await heard.wait(({ kind }) => kind === "list_changed", NOTIFICATION_MS_MAX);
  });
}

export const CHECKS = [
  says_who_it_is,
  lists_its_tools,
  lists_the_libraries,
  finds_a_note,
  finds_the_manuals_audit_log,
  finds_what_the_corpora_hold,
  reads_a_long_page_to_its_end,
  reads_what_it_found,
  lists_and_reads_resources,
  completes_a_resource_address,
  gives_the_prompt,
  survives_wrong_calls,
  cancels_a_call,
  hears_that_a_page_changed,
  hears_that_a_page_was_added,
];
export { finds_what_the_corpora_hold, lists_the_libraries };
