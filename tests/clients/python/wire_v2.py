"""The 2.x line of the official SDK, which speaks 2026-07-28, as plain dictionaries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated, Subscription

GENERATION = "2026-07-28"
SECONDS_MAX = 30


def plain(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


class Heard:
    """The change events of one `subscriptions/listen` stream."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription

    async def wait(self, wanted: Callable[[str, str], bool], seconds: float) -> None:
        with anyio.fail_after(seconds):
            async for event in self.subscription:
                if isinstance(event, ResourceUpdated) and wanted("updated", str(event.uri)):
                    return
                if isinstance(event, ResourcesListChanged) and wanted("list_changed", ""):
                    return
        raise AssertionError("the server ended the stream before the change")


class Wire:
    generation = GENERATION

    def __init__(self, client: Client) -> None:
        self.client = client
        self.protocol = client.protocol_version
        self.server_name = client.server_info.name if client.server_info else ""
        self.capabilities = plain(client.server_capabilities)

    async def list_tools(self) -> list[dict[str, Any]]:
        return [plain(tool) for tool in (await self.client.list_tools()).tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return plain(await self.client.call_tool(name, arguments))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], after_seconds: float) -> None:
        """Calls and leaves the call's scope: the SDK cancels as the transport of this generation wants it."""
        with anyio.move_on_after(after_seconds) as scope:
            await self.client.call_tool(name, arguments)
        if not scope.cancelled_caught:
            raise AssertionError(f"{name} ended before it was cancelled")

    async def list_resources(self, cursor: str | None) -> dict[str, Any]:
        return plain(await self.client.list_resources(cursor=cursor, cache_mode="refresh"))

    async def list_resource_templates(self) -> list[dict[str, Any]]:
        return [plain(template) for template in (await self.client.list_resource_templates()).resource_templates]

    async def read_resource(self, uri: str) -> dict[str, Any]:
        return plain(await self.client.read_resource(uri, cache_mode="refresh"))

    async def complete(self, template: str, name: str, value: str, others: dict[str, str]) -> list[str]:
        reference = types.ResourceTemplateReference(uri=template)
        return (await self.client.complete(reference, {"name": name, "value": value}, others)).completion.values

    async def list_prompts(self) -> list[dict[str, Any]]:
        return [plain(prompt) for prompt in (await self.client.list_prompts()).prompts]

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        return plain(await self.client.get_prompt(name, arguments))

    @asynccontextmanager
    async def listening(self, uri: str) -> AsyncIterator[Heard]:
        async with self.client.listen(resources_list_changed=True, resource_subscriptions=[uri]) as subscription:
            honored = plain(subscription.honored)
            if honored.get("resourcesListChanged") is not True or honored.get("resourceSubscriptions") != [uri]:
                raise AssertionError(f"the server honoured only {honored}")
            yield Heard(subscription)


@asynccontextmanager
async def over_stdio(command: list[str], environment: dict[str, str], log: Any) -> AsyncIterator[Wire]:
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(stdio_client(parameters, errlog=log), read_timeout_seconds=SECONDS_MAX) as client:
        yield Wire(client)


@asynccontextmanager
async def over_http(url: str, headers: dict[str, str]) -> AsyncIterator[Wire]:
    timeout = httpx2.Timeout(SECONDS_MAX, read=300)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=SECONDS_MAX) as client,
    ):
        yield Wire(client)
