"""What a client may rely on: one function per behaviour, the same for both generations of the protocol and both transports."""

from __future__ import annotations

import re
import time
from typing import Any

import anyio

from world import PARAGRAPHS, World

PAGES_MAX = 500
NOTIFICATION_SECONDS_MAX = 15
# Long enough that an answer within CANCEL_SECONDS_MAX can only be due to the cancellation.
SLOW_SECONDS = 20
CANCEL_SECONDS_MAX = 10
TEMPLATE = "sekisho://{library}/{path}"
TOOLS = ("list_libraries", "search_documents", "read_document")


def expect(condition: Any, why: str) -> None:
    if not condition:
        raise AssertionError(why)


def structured(result: dict[str, Any]) -> dict[str, Any]:
    """The structured part of a tool's result, which must also be there as text for clients that know only text."""
    expect(not result.get("isError"), f"the tool reports an error: {str(result.get('content'))[:300]}")
    expect(result.get("content") and result["content"][0]["type"] == "text", f"no text beside the structured result: {str(result)[:300]}")
    expect(isinstance(result.get("structuredContent"), dict), f"no structured result: {str(result)[:300]}")
    return result["structuredContent"]


async def search(wire: Any, library: str, query: str) -> list[dict[str, Any]]:
    found = structured(await wire.call("search_documents", {"query": query, "libraries": [library]}))
    hits = found["hits"]
    expect(found["total"] >= len(hits), f"total {found['total']} is less than {len(hits)} hits")
    expect(hits, f"no hit for {query!r} in {library}")
    for hit in hits:
        for key in ("library", "path", "title", "snippet", "uri"):
            expect(isinstance(hit.get(key), str), f"a hit's {key} is no text: {hit}")
        expect(hit["library"] == library, f"asked in {library}, found in {hit['library']}")
        expect(hit["uri"].startswith("sekisho://"), f"a hit's address is {hit['uri']}")
    return hits


async def read_to_end(wire: Any, tool: str, arguments: dict[str, Any]) -> list[str]:
    """The pages of one document, found by passing each `next` back as `cursor`."""
    pages: list[str] = []
    cursors: set[str] = set()
    cursor = None
    while True:
        page = structured(await wire.call(tool, arguments | ({"cursor": cursor} if cursor else {})))
        pages.append(page["markdown"])
        cursor = page.get("next")
        if cursor is None:
            return pages
        expect(cursor not in cursors, "the same cursor came twice")
        cursors.add(cursor)
        expect(len(pages) < PAGES_MAX, f"no end after {PAGES_MAX} pages")


async def every_resource(wire: Any) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = []
    cursor = None
    for _ in range(PAGES_MAX):
        page = await wire.list_resources(cursor)
        resources += page["resources"]
        cursor = page.get("nextCursor")
        if cursor is None:
            return resources
    raise AssertionError(f"no end after {PAGES_MAX} pages")


async def says_who_it_is(wire: Any, world: World) -> None:
    expect(wire.protocol == wire.generation, f"agreed on {wire.protocol}, not on {wire.generation}")
    expect("sekisho" in wire.server_name.lower(), f"the server calls itself {wire.server_name!r}")
    for capability in ("tools", "resources", "prompts", "completions"):
        expect(capability in wire.capabilities, f"no capability {capability}: {wire.capabilities}")


async def lists_its_tools(wire: Any, world: World) -> None:
    tools = {tool["name"]: tool for tool in await wire.list_tools()}
    for name in TOOLS:
        expect(name in tools, f"no {name} among {sorted(tools)}")
        tool = tools[name]
        annotations = tool.get("annotations") or {}
        expect(tool.get("title") or annotations.get("title"), f"{name} has no title")
        expect(tool.get("description"), f"{name} has no description")
        expect(annotations.get("readOnlyHint") is True, f"{name} is not marked as reading only")
        expect(tool["inputSchema"].get("type") == "object", f"{name} has no schema of its arguments")
        expect((tool.get("outputSchema") or {}).get("type") == "object", f"{name} has no schema of its result")
    expect("query" in tools["search_documents"]["inputSchema"].get("required", []), "query is not required")
    expect("cursor" in tools["read_document"]["inputSchema"]["properties"], "read_document takes no cursor")


async def lists_the_libraries(wire: Any, world: World) -> None:
    found = str(structured(await wire.call("list_libraries", {})))
    for name in ("manual", "notes", *(probe.library for probe in world.probes)):
        expect(f"'{name}'" in found, f"no {name} in {found[:300]}")


async def finds_a_note(wire: Any, world: World) -> None:
    hits = await search(wire, "notes", "heron")
    expect(hits[0]["path"] == "first.md", f"found {hits[0]['path']} first")
    expect("heron" in hits[0]["snippet"].lower(), f"the snippet lacks the word: {hits[0]['snippet']!r}")


async def finds_the_manuals_audit_log(wire: Any, world: World) -> None:
    hits = await search(wire, "manual", "audit log")
    expect(any("audit" in str(hit).lower() for hit in hits[:3]), f"nothing about it in {hits[:3]}")


async def finds_what_the_corpora_hold(wire: Any, world: World) -> None:
    for probe in world.probes:
        paths = [hit["path"] for hit in await search(wire, probe.library, probe.query)][: probe.within]
        expect(any(probe.expected in path.lower() for path in paths), f"{probe.query!r} found only {paths}")


async def reads_a_long_page_to_its_end(wire: Any, world: World) -> None:
    pages = await read_to_end(wire, "read_document", {"library": "notes", "path": "long.md", "tokens_max": 500})
    whole = "".join(pages)
    expect(len(pages) > 1, "a long page came as one")
    expect(len(whole) > len(pages[0]), "the pages after the first are empty")
    markers = [int(number) for number in re.findall(r"Marker(\d{4})", whole)]
    expect(markers == list(range(PARAGRAPHS)), f"{len(markers)} of {PARAGRAPHS} paragraphs, in order: {markers == sorted(markers)}")


async def reads_what_it_found(wire: Any, world: World) -> None:
    for probe in world.probes or [None]:
        hits = await (search(wire, probe.library, probe.query) if probe else search(wire, "manual", "audit log"))
        read = hits[0]["read"]
        pages = await read_to_end(wire, read["tool"], read["arguments"])
        expect("".join(pages).strip(), f"{hits[0]['path']} is empty")


async def lists_and_reads_resources(wire: Any, world: World) -> None:
    uris = [resource["uri"] for resource in await every_resource(wire)]
    expect(len(uris) == len(set(uris)), "a resource is listed twice")
    expect("sekisho://notes/first.md" in uris, f"the note is not among {len(uris)} resources")
    expect(any(uri.startswith("sekisho://manual/") for uri in uris), "the manual is not among the resources")
    contents = (await wire.read_resource("sekisho://notes/first.md"))["contents"]
    expect(contents[0]["uri"] == "sekisho://notes/first.md", f"answered for {contents[0]['uri']}")
    expect("heron" in contents[0]["text"], f"the note reads {contents[0]['text'][:200]!r}")


async def completes_a_resource_address(wire: Any, world: World) -> None:
    templates = [template["uriTemplate"] for template in await wire.list_resource_templates()]
    expect(TEMPLATE in templates, f"the templates are {templates}")
    libraries = await wire.complete(TEMPLATE, "library", "no", {})
    expect("notes" in libraries, f"'no' was completed to {libraries}")
    paths = await wire.complete(TEMPLATE, "path", "lo", {"library": "notes"})
    expect("long.md" in paths, f"'lo' was completed to {paths}")


async def gives_the_prompt(wire: Any, world: World) -> None:
    prompts = {prompt["name"]: prompt for prompt in await wire.list_prompts()}
    expect("answer_from_library" in prompts, f"the prompts are {sorted(prompts)}")
    question = "Where does the heron stand?"
    prompt = await wire.get_prompt("answer_from_library", {"question": question, "library": "notes"})
    expect(prompt["messages"], "the prompt has no messages")
    expect(question in str(prompt["messages"]), "the prompt does not hold the question")


async def survives_wrong_calls(wire: Any, world: World) -> None:
    for name, arguments in (
        ("search_documents", {}),
        ("search_documents", {"query": 7}),
        ("read_document", {"library": "notes", "path": "../../etc/passwd"}),
        ("read_document", {"library": "notes", "path": "missing.md"}),
        ("read_document", {"library": "notes", "path": "long.md", "cursor": "no such cursor"}),
        ("no_such_tool", {}),
    ):
        try:
            result = await wire.call(name, arguments)
        except Exception:  # a protocol error is as good a refusal as a result that says so
            continue
        expect(result.get("isError") is True, f"{name} {arguments} was not refused")
    await finds_a_note(wire, world)


async def cancels_a_call(wire: Any, world: World) -> None:
    began = time.monotonic()
    before = world.audit_entries()
    await wire.call_and_cancel("slow_compute", {"seconds": SLOW_SECONDS}, 1.0)
    expect(time.monotonic() - began < CANCEL_SECONDS_MAX, "the cancelled call went on")
    await finds_a_note(wire, world)
    # The server writes an entry when a call is over, so an early entry proves that the work ended, not only the waiting.
    while True:
        entries = [entry for entry in world.audit_entries() if entry not in before]
        outcomes = [entry.get("outcome") for entry in entries if entry.get("operation") == "slow_compute"]
        if outcomes:
            break
        expect(time.monotonic() - began < CANCEL_SECONDS_MAX, f"the audit log does not show the cancelled call as over: {entries}")
        await anyio.sleep(0.3)
    expect(outcomes == ["undelivered"], f"the audit log has the cancelled call as {outcomes}")


async def hears_that_a_page_changed(wire: Any, world: World) -> None:
    uri = "sekisho://notes/first.md"
    async with wire.listening(uri) as heard:
        await anyio.to_thread.run_sync(world.change_first_note)
        await heard.wait(lambda kind, of: kind == "updated" and of == uri, NOTIFICATION_SECONDS_MAX)
    text = (await wire.read_resource(uri))["contents"][0]["text"]
    expect("left" in text, f"after the notification the page still reads {text!r}")


async def hears_that_a_page_was_added(wire: Any, world: World) -> None:
    async with wire.listening("sekisho://notes/first.md") as heard:
        await anyio.to_thread.run_sync(world.add_a_note)
        await heard.wait(lambda kind, _: kind == "list_changed", NOTIFICATION_SECONDS_MAX)


CHECKS = (
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
)
