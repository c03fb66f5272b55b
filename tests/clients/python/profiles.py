"""The tools of profiles, called by the official Python SDK with valid, boundary and invalid input: `profiles.py BINARY`.

A small library of our own words stands in for Expo's documentation; with the corpora the real ones are asked as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from checks import expect, structured
from client import SDK, Score, reason, sdk
from world import INDEX_SECONDS_MAX, World, corpora

KETTLE = """---
title: Kettle
description: Boils water on the device.
packageName: expo-kettle
platforms: ['android*', 'ios']
---

# Kettle

`expo-kettle` boils water.

## Usage

```tsx App.tsx
import { boil } from 'expo-kettle';
export default function App() {
  boil(95);
}
```
"""
DOCUMENTS = {
    "guides/brewing.md": "# Brewing tea\n\nWarm the pot. See [the kettle](/versions/latest/sdk/kettle/).\n",
    "troubleshooting/react-native-version-mismatch.md": "# Version mismatch\n\nClose all other development servers.\n",
    "versions/v53.0.0/sdk/kettle.md": KETTLE,
    "versions/v52.0.0/sdk/kettle.md": KETTLE,
}
SCHEMAS = Path(__file__).resolve().parents[3] / "assets" / "profiles" / "expo" / "schemas"
TOOLS = {
    "expo_search_documents",
    "expo_read_document",
    "expo_recommend",
    "expo_get_sdk_module",
    "expo_config_templates",
    "expo_eas_command_builder",
    "expo_code_examples",
    "expo_error_diagnosis",
}


async def good(wire: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return structured(await wire.call(tool, arguments))


async def refused(wire: Any, tool: str, arguments: dict[str, Any]) -> None:
    """The server must not answer: each SDK has its own error for that, or gives a result that says so."""
    try:
        result = await wire.call(tool, arguments)
    except Exception:
        return
    expect(result.get("isError"), f"{tool} took {str(arguments)[:200]}")


async def lists_the_eight_tools(wire: Any, _: World) -> None:
    tools = {tool["name"]: tool for tool in await wire.list_tools()}
    expect(TOOLS <= set(tools), f"missing: {TOOLS - set(tools)}")
    for name in TOOLS:
        expect(tools[name]["inputSchema"].get("additionalProperties") is False, f"{name} takes anything")
        expect(tools[name].get("outputSchema", {}).get("type") == "object", f"{name} has no output schema")


async def searches(wire: Any, _: World) -> None:
    tool = "expo_search_documents"
    found = await good(wire, tool, {"query": "kettle boils water"})
    expect(found["hits"][0]["path"] == "versions/v53.0.0/sdk/kettle.md", str(found["hits"][:1]))
    expect(found["facets"]["category"]["api"] == 2, str(found["facets"]))
    await good(wire, tool, {"query": "茶" * 500, "filters": {"platform": ["ios", "universal"], "sdk_version": ["latest", "sdk-52"]}})
    for bad in ({}, {"query": "a" * 501}, {"query": "a", "filters": {"category": ["novels"]}}, {"query": "a", "more": 1}, {"query": 3}):
        await refused(wire, tool, bad)


async def reads(wire: Any, _: World) -> None:
    tool = "expo_read_document"
    page = await good(wire, tool, {"url": "https://docs.expo.dev/versions/latest/sdk/kettle/", "doc_type": "api"})
    expect(page["version"] == "sdk-53" and page["platforms"] == ["android", "ios"], str(page)[:300])
    expect(page["canonical_url"] == "https://docs.expo.dev/versions/v53.0.0/sdk/kettle/", page["canonical_url"])
    for bad in ({}, {"url": ""}, {"url": "a" * 1025}, {"url": "/no/such/page"}, {"url": "guides/brewing", "doc_type": "song"}):
        await refused(wire, tool, bad)


async def recommends(wire: Any, _: World) -> None:
    tool = "expo_recommend"
    given = await good(wire, tool, {"context": "tea " * 250, "max_results": 10})
    expect(given["recommendations"] and all(one["reason"] for one in given["recommendations"]), str(given))
    expect(len((await good(wire, tool, {"context": "tea", "max_results": 1}))["recommendations"]) == 1, "not one")
    for bad in ({}, {"context": "a" * 1001}, {"context": "a", "max_results": 0}, {"context": "a", "max_results": 11}, {"context": "a", "platform": "tv"}):
        await refused(wire, tool, bad)


async def looks_modules_up(wire: Any, _: World) -> None:
    tool = "expo_get_sdk_module"
    module = await good(wire, tool, {"module_name": "expo-kettle", "sdk_version": "sdk-52"})
    expect(module["install_command"] == "npx expo install expo-kettle" and module["version"] == "sdk-52", str(module)[:300])
    for bad in ({}, {"module_name": "a/b"}, {"module_name": ""}, {"module_name": "kettle", "sdk_version": "52"}, {"module_name": "nothing-of-the-sort"}):
        await refused(wire, tool, bad)


async def makes_and_checks_configuration(wire: Any, _: World) -> None:
    tool = "expo_config_templates"
    for file in ("app.json", "eas.json"):
        for platforms in (["ios"], ["android"], ["web"], ["ios", "android", "web"]):
            context = {"name": "N" * 100, "platforms": platforms, "sdk_version": "sdk-53"}
            made = await good(wire, tool, {"template_type": file, "project_context": context})
            expect(made["valid"], f"{file} does not fit: {made['errors']}")
            validate(json.loads(made["content"]), file)
    expect("getDefaultConfig" in (await good(wire, tool, {"template_type": "metro.config.js"}))["content"], "no Metro")
    wrong = await good(wire, tool, {"template_type": "app.json", "content": '{"expo": {"name": "a", "slug": "a", "ios": {"buildNumber": 1}}}'})
    expect([error["pointer"] for error in wrong["errors"]] == ["/expo/ios/buildNumber"], str(wrong))
    await good(wire, tool, {"template_type": "app.json", "content": "x" * 65_536})
    for bad in ({}, {"template_type": "x"}, {"template_type": "app.json", "content": "x" * 65_537}, {"template_type": "app.json", "project_context": {"name": "N" * 101}}):
        await refused(wire, tool, bad)


def validate(file: dict[str, Any], name: str) -> None:
    """By another validator than the server's, where the SDK brings one."""
    try:
        import jsonschema
    except ImportError:
        return
    jsonschema.validate(file, json.loads((SCHEMAS / name).read_text(encoding="utf-8")))


async def builds_commands(wire: Any, _: World) -> None:
    tool = "expo_eas_command_builder"
    for operation in ("build", "submit", "update", "credentials"):
        for platform in ("ios", "android", "all"):
            built = await good(wire, tool, {"operation": operation, "platform": platform, "profile": "p" * 64})
            expect(built["command"].startswith("eas ") and built["flags"] and built["prerequisites"], str(built)[:300])
    for bad in ({"operation": "build"}, {"operation": "eat", "platform": "ios"}, {"operation": "build", "platform": "web"}, {"operation": "build", "platform": "ios", "profile": "a b"}, {"operation": "build", "platform": "ios", "profile": "p" * 65}):
        await refused(wire, tool, bad)


async def shows_code(wire: Any, _: World) -> None:
    tool = "expo_code_examples"
    shown = await good(wire, tool, {"pattern": "boil", "language": "typescript", "platform": "ios"})
    expect(shown["examples"] and shown["examples"][0]["run_url"].startswith("https://snack.expo.dev/"), str(shown)[:300])
    await good(wire, tool, {"pattern": "é" * 100})
    for bad in ({}, {"pattern": "a" * 101}, {"pattern": "a", "language": "cobol"}, {"pattern": "a", "platform": "tv"}):
        await refused(wire, tool, bad)


async def diagnoses(wire: Any, _: World) -> None:
    tool = "expo_error_diagnosis"
    known = await good(wire, tool, {"error_message": "React Native version mismatch.", "error_type": "runtime", "platform": "ios"})
    expect(known["causes"][0]["solutions"] and "mismatch" in known["pages"][0]["path"], str(known)[:300])
    await good(wire, tool, {"error_message": "エ" * 2000})
    for bad in ({}, {"error_message": "a" * 2001}, {"error_message": "a", "error_type": "soup"}, {"error_message": "a", "platform": "tv"}):
        await refused(wire, tool, bad)


async def knows_the_real_documentation(wire: Any, _: World) -> None:
    found = await good(wire, "expo_search_documents", {"query": "camera permission", "filters": {"platform": ["ios"]}})
    expect(any("camera" in hit["path"] for hit in found["hits"][:3]), str([hit["path"] for hit in found["hits"]]))
    module = await good(wire, "expo_get_sdk_module", {"module_name": "camera"})
    expect(module["package"] == "expo-camera" and module["config_plugin"], str(module)[:300])
    hook = await good(wire, "react_get_module", {"module_name": "useState"})
    expect(hook["examples"], str(hook)[:300])
    japanese = await good(wire, "react_search_documents", {"query": "副作用のクリーンアップ", "filters": {"language": ["ja"]}})
    expect(japanese["hits"] and all("-ja/" in hit["path"] for hit in japanese["hits"]), str(japanese["hits"][:2]))


CHECKS = [
    lists_the_eight_tools,
    searches,
    reads,
    recommends,
    looks_modules_up,
    makes_and_checks_configuration,
    builds_commands,
    shows_code,
    diagnoses,
]


def add_libraries(world: World) -> bool:
    """The small library, and those of the corpora if they are there; the answer says whether they are."""
    for path, text in DOCUMENTS.items():
        file = world.directory / "tea" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    world.run("library", "add", "tea", str(world.directory / "tea"), "--profile", "expo")
    return (corpora() / "expo-docs" / "md").is_dir() and (corpora() / "react-docs-en").is_dir()


def add_the_real_ones(world: World) -> None:
    world.run("library", "remove", "tea")
    world.run("library", "add", "expo", str(corpora() / "expo-docs" / "md"), "--profile", "expo", seconds=INDEX_SECONDS_MAX)
    world.run("library", "add", "react", str(corpora()), "--include", "react-docs-*/**", "--profile", "react", seconds=INDEX_SECONDS_MAX)


async def main(binary: str) -> int:
    score = Score()
    world = World(binary)

    async def check(behaviour: Any) -> None:
        async def run() -> None:
            async with sdk.over_http(world.url, {"authorization": f"Bearer {world.token}"}) as wire:
                await behaviour(wire, world)

        await score.check(f"python-{SDK} profiles {behaviour.__name__}", run)

    try:
        await anyio.to_thread.run_sync(world.serve, "quickstart")
        real = await anyio.to_thread.run_sync(add_libraries, world)
        for behaviour in CHECKS:
            await check(behaviour)
        if real:
            await anyio.to_thread.run_sync(add_the_real_ones, world)
            await check(knows_the_real_documentation)
        else:
            print(f"no Expo and React documentation at {corpora()}: only the small library was asked", file=sys.stderr)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        score.failed += 1
        print(f"FAIL python-{SDK} profiles prepares: {reason(error)}", flush=True)
    finally:
        if score.failed:
            print(f"--- the server said\n{world.server_log()}", file=sys.stderr)
        world.remove()
    print(f"profiles-python-{SDK}: {score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: profiles.py BINARY")
    sys.exit(anyio.run(main, sys.argv[1]))
