"""The 1.x line of the official SDK, which speaks the protocol versions with a handshake, as plain dictionaries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

GENERATION = "2025-11-25"
SECONDS_MAX = 30


def plain(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Heard:
    """The change notifications that arrived on one connection."""

    def __init__(self) -> None:
        self.sender, self.receiver = anyio.create_memory_object_stream[tuple[str, str]](1000)

    async def wait(self, wanted: Callable[[str, str], bool], seconds: float) -> None:
        with anyio.fail_after(seconds):
            while not wanted(*await self.receiver.receive()):
                pass


class Wire:
    generation = GENERATION

    def __init__(self, session: ClientSession, opening: types.InitializeResult, heard: Heard) -> None:
        self.session = session
        self.protocol = str(opening.protocolVersion)
        self.server_name = opening.serverInfo.name
        self.capabilities = plain(opening.capabilities)
        self.heard = heard

    async def list_tools(self) -> list[dict[str, Any]]:
        return [plain(tool) for tool in (await self.session.list_tools()).tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return plain(await self.session.call_tool(name, arguments))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], after_seconds: float) -> None:
        """Calls, cancels by the protocol's own notification, and returns when the call is over for the caller."""
        identifier = self.session._request_id  # 1.x offers no public way to name a request
        ended = anyio.Event()

        async def call() -> None:
            try:
                await self.session.call_tool(name, arguments)
            except Exception:  # an answer to a cancelled call may be an error or none at all
                pass
            ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.sleep(after_seconds)
            if ended.is_set():
                raise AssertionError(f"{name} ended before it was cancelled")
            cancelled = types.CancelledNotification(
                params=types.CancelledNotificationParams(requestId=identifier, reason="the test changed its mind")
            )
            await self.session.send_notification(types.ClientNotification(cancelled))
            with anyio.move_on_after(3):
                await ended.wait()
            tasks.cancel_scope.cancel()

    async def list_resources(self, cursor: str | None) -> dict[str, Any]:
        return plain(await self.session.list_resources(params=types.PaginatedRequestParams(cursor=cursor)))

    async def list_resource_templates(self) -> list[dict[str, Any]]:
        return [plain(template) for template in (await self.session.list_resource_templates()).resourceTemplates]

    async def read_resource(self, uri: str) -> dict[str, Any]:
        return plain(await self.session.read_resource(AnyUrl(uri)))

    async def complete(self, template: str, name: str, value: str, others: dict[str, str]) -> list[str]:
        reference = types.ResourceTemplateReference(type="ref/resource", uri=template)
        return (await self.session.complete(reference, {"name": name, "value": value}, others)).completion.values

    async def list_prompts(self) -> list[dict[str, Any]]:
        return [plain(prompt) for prompt in (await self.session.list_prompts()).prompts]

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return plain(await self.session.get_prompt(name, arguments))

    @asynccontextmanager
    async def listening(self, uri: str) -> AsyncIterator[Heard]:
        """Subscribed to one resource; list changes come unasked in this generation."""
        await self.session.subscribe_resource(AnyUrl(uri))
        # Over HTTP the notifications come on a GET stream, which the SDK opens by itself after the handshake.
        await anyio.sleep(0.5)
        yield self.heard
        await self.session.unsubscribe_resource(AnyUrl(uri))


@asynccontextmanager
async def opened(streams: Any) -> AsyncIterator[Wire]:
    heard = Heard()

    async def on_message(message: Any) -> None:
        if isinstance(message, types.ServerNotification):
            if isinstance(message.root, types.ResourceUpdatedNotification):
                heard.sender.send_nowait(("updated", str(message.root.params.uri)))
            if isinstance(message.root, types.ResourceListChangedNotification):
                heard.sender.send_nowait(("list_changed", ""))

    async with ClientSession(streams[0], streams[1], message_handler=on_message) as session:
        yield Wire(session, await session.initialize(), heard)


@asynccontextmanager
async def over_stdio(command: list[str], environment: dict[str, str], log: Any) -> AsyncIterator[Wire]:
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with stdio_client(parameters, errlog=log) as streams, opened(streams) as wire:
        yield wire


@asynccontextmanager
async def over_http(url: str, headers: dict[str, str]) -> AsyncIterator[Wire]:
    timeout = httpx.Timeout(SECONDS_MAX, read=300)
    async with (
        httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as client,
        streamable_http_client(url, http_client=client) as streams,
        opened(streams) as wire,
    ):
        yield wire
