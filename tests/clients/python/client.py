"""Drives a sekisho binary with the official Python SDK over HTTP and stdio: `client.py BINARY`.

The installed `mcp` decides the protocol generation: 1.x the handshake of 2025-11-25, 2.x the 2026-07-28 revision.
"""

from __future__ import annotations

import importlib.metadata
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio

from checks import CHECKS, expect, finds_what_the_corpora_hold, lists_the_libraries
from world import World, server_environment

SDK = importlib.metadata.version("mcp")
if SDK.startswith("1."):
    import wire_v1 as sdk
else:
    import wire_v2 as sdk  # type: ignore[no-redef]

# One behaviour may wait for a command, a notification and a cancelled call, one after the other; none of them longer than this.
CHECK_SECONDS_MAX = 30

Connect = Callable[[], AbstractAsyncContextManager[Any]]


class Score:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    async def check(self, name: str, behaviour: Callable[[], Awaitable[None]]) -> None:
        """Runs one behaviour under the clock and says how it went."""
        try:
            with anyio.fail_after(CHECK_SECONDS_MAX):
                await behaviour()
        except Exception as error:
            self.failed += 1
            print(f"FAIL {name}: {reason(error)}", flush=True)
        else:
            self.passed += 1
            print(f"ok {name}", flush=True)


def reason(error: BaseException) -> str:
    """The innermost error of nested groups, on one line."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    text = str(error) or f"nothing within {CHECK_SECONDS_MAX} s" if isinstance(error, TimeoutError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())[:500]}"


def http_status(url: str, headers: dict[str, str], body: bytes | None = None) -> int:
    """The status of one plain request, made without the SDK and without a proxy."""
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


async def behaviours(score: Score, transport: str, connect: Connect, world: World) -> None:
    """Every behaviour on a connection of its own, so that none can spoil the next."""
    for behaviour in CHECKS:
        if behaviour is finds_what_the_corpora_hold and not world.probes:
            continue  # World.build said so

        async def run() -> None:
            async with connect() as wire:
                await behaviour(wire, world)

        await score.check(f"python-{SDK} {transport} {behaviour.__name__}", run)


async def guards(score: Score, world: World) -> None:
    """What the HTTP server says without a session: health for everyone, MCP only with the token."""
    base = world.url.removesuffix("/mcp")
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    json_headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}

    async def answers_health_without_a_token() -> None:
        for path in ("/health", "/ready"):
            status = await anyio.to_thread.run_sync(http_status, base + path, {})
            expect(status == 200, f"{path} answered {status}")

    async def refuses_without_the_token() -> None:
        for credentials in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {world.token}"}):
            status = await anyio.to_thread.run_sync(http_status, world.url, json_headers | credentials, ping)
            expect(status == 401, f"{sorted(credentials.values())} was answered with {status}")

    async def refuses_a_client_with_a_wrong_token() -> None:
        try:
            async with sdk.over_http(world.url, {"authorization": "Bearer wrong"}) as wire:
                await wire.list_tools()
        except Exception:  # each SDK has its own error for a 401
            return
        raise AssertionError("a wrong token was let in")

    for behaviour in (answers_health_without_a_token, refuses_without_the_token, refuses_a_client_with_a_wrong_token):
        await score.check(f"python-{SDK} http {behaviour.__name__}", behaviour)


async def main(binary: str) -> int:
    score = Score()
    world = World(binary)
    log = open(world.directory / "stdio.log", "w", encoding="utf-8")

    def over_http() -> AbstractAsyncContextManager[Any]:
        return sdk.over_http(world.url, {"authorization": f"Bearer {world.token}"})

    def over_stdio() -> AbstractAsyncContextManager[Any]:
        return sdk.over_stdio(world.command("stdio"), server_environment(), log)

    async def serves_stdio_beside_http() -> None:
        async with over_stdio() as by_stdio, over_http() as by_http:
            await lists_the_libraries(by_stdio, world)
            await lists_the_libraries(by_http, world)

    async def serves_two_stdio_clients_at_once() -> None:
        async with over_stdio() as one, over_stdio() as other:
            await lists_the_libraries(one, world)
            await lists_the_libraries(other, world)

    async def stops_when_asked() -> None:
        code = await anyio.to_thread.run_sync(world.stop_server)
        expect(code == 0, f"the server ended with {code}: {world.server_log()}")

    async def leaves_an_audit_log_that_verifies() -> None:
        await anyio.to_thread.run_sync(world.run, "audit", "verify")

    try:
        await anyio.to_thread.run_sync(world.build)
        await behaviours(score, "http", over_http, world)
        await guards(score, world)
        await score.check(f"python-{SDK} serves_stdio_beside_http", serves_stdio_beside_http)
        await score.check(f"python-{SDK} stops_when_asked", stops_when_asked)
        await behaviours(score, "stdio", over_stdio, world)
        await score.check(f"python-{SDK} serves_two_stdio_clients_at_once", serves_two_stdio_clients_at_once)
        await score.check(f"python-{SDK} leaves_an_audit_log_that_verifies", leaves_an_audit_log_that_verifies)
    except Exception as error:  # the world could not be made: one failure, said once
        score.failed += 1
        print(f"FAIL python-{SDK} prepares: {reason(error)}", flush=True)
    finally:
        log.close()
        said = (world.directory / "stdio.log").read_text(encoding="utf-8", errors="replace")
        if score.failed:
            print(f"--- the server said\n{world.server_log()}\n--- the stdio servers said\n{said[-1500:]}", file=sys.stderr)
        world.remove()
    print(f"python-{SDK}: {score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: client.py BINARY")
    sys.exit(anyio.run(main, sys.argv[1]))
