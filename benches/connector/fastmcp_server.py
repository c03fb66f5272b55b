"""The peer of the connector bench: a FastMCP server that is made from an OpenAPI document, over HTTP on loopback."""

import json
import socket
import sys

import httpx2
from fastmcp import FastMCP


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    client = httpx2.AsyncClient(base_url=document["servers"][0]["url"])
    server = FastMCP.from_openapi(openapi_spec=document, client=client, name="shop")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    print(f"Serving MCP at http://127.0.0.1:{port}/mcp", flush=True)
    server.run(
        transport="http",
        host="127.0.0.1",
        port=port,
        path="/mcp",
        stateless_http=True,
        json_response=True,
        log_level="error",
        show_banner=False,
        uvicorn_config={"access_log": False, "loop": "uvloop"},
    )


main()
