"""One sekisho for one run of the tests: a data directory, its libraries, its HTTP server, all removed at the end."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).resolve().parent.parent
CHECKOUT = CLIENTS.parent.parent
READY = re.compile(r"Serving MCP at (http://\S+/mcp)")

COMMAND_SECONDS_MAX = 30
# Indexing a corpus with an unoptimised build is the one step that may take longer than a call ever may.
INDEX_SECONDS_MAX = 120
PARAGRAPHS = 400


def corpora() -> Path:
    """Where the test documents are, whether or not anything is there."""
    return Path(os.environ.get("SEKISHO_CORPORA") or CHECKOUT.parent / "shared" / "corpora")


def server_environment() -> dict[str, str]:
    """The inherited environment without its SEKISHO_ keys (they configure), plus server.env."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    for line in (CLIENTS / "server.env").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            key, _, value = line.partition("=")
            environment[key.strip()] = value.strip()
    return environment


@dataclass(frozen=True)
class Probe:
    """A question whose answer a library surely holds: `expected` is part of one of the first `within` paths."""

    library: str
    query: str
    expected: str
    within: int


@dataclass
class World:
    binary: str
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sekisho-py-")))
    url: str = ""
    probes: list[Probe] = field(default_factory=list)
    _server: subprocess.Popen[str] | None = None
    _edits: int = 0

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def notes(self) -> Path:
        return self.directory / "notes"

    @property
    def token(self) -> str:
        return (self.data / "http-token").read_text(encoding="utf-8").strip()

    def command(self, *arguments: str) -> list[str]:
        return [self.binary, "--data-dir", str(self.data), *arguments]

    def run(self, *arguments: str, seconds: float = COMMAND_SECONDS_MAX) -> str:
        """Runs one sekisho command to its end and gives its stdout; a failure carries what it said."""
        done = subprocess.run(
            self.command(*arguments),
            env=server_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise RuntimeError(f"sekisho {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout

    def build(self) -> None:
        """Starts `sekisho quickstart` and adds the libraries while it serves."""
        self.notes.mkdir(parents=True)
        (self.notes / "first.md").write_text("# First note\n\nThe heron stands in the shallow water.\n", encoding="utf-8")
        paragraphs = "\n\n".join(f"Marker{number:04} and a few words more, so that a page is soon full." for number in range(PARAGRAPHS))
        (self.notes / "long.md").write_text(f"# A long note\n\n{paragraphs}\n", encoding="utf-8")

        self.serve("quickstart")
        self.run("library", "add", "notes", str(self.notes))
        for name, folder, probe in (
            ("expo", "expo-docs/md", Probe("expo", "ask for camera permission", "camera", 3)),
            ("react-ja", "react-docs-ja", Probe("react-ja", "副作用のクリーンアップ", "effect", 10)),
        ):
            if (corpora() / folder).is_dir():
                self.run("library", "add", name, str(corpora() / folder), seconds=INDEX_SECONDS_MAX)
                self.probes.append(probe)
            else:
                print(f"no {folder} under the corpora: searching the built-in manual and the notes only", file=sys.stderr)

    def serve(self, how: str) -> None:
        """Starts the HTTP server and waits for the line that says where it listens."""
        log = open(self.directory / "server.log", "a", encoding="utf-8")
        self._server = subprocess.Popen(
            self.command(how), env=server_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        lines: queue.Queue[str | None] = queue.Queue()
        stdout = self._server.stdout
        assert stdout is not None

        def pump() -> None:
            for line in stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=pump, daemon=True).start()
        deadline = time.monotonic() + INDEX_SECONDS_MAX
        said = ""
        while time.monotonic() < deadline:
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                continue
            if line is None:
                break
            said += line
            if found := READY.search(line):
                self.url = found.group(1)
                return
        raise RuntimeError(f"sekisho {how} did not say where it serves; stdout: {said[-300:]!r}, stderr: {self.server_log()}")

    def server_log(self) -> str:
        log = self.directory / "server.log"
        return log.read_text(encoding="utf-8", errors="replace").strip()[-1500:] if log.exists() else ""

    def stop_server(self) -> int:
        """Asks the server to stop as an init system does, and gives its exit code."""
        assert self._server is not None
        self._server.terminate()
        try:
            return self._server.wait(timeout=COMMAND_SECONDS_MAX)
        finally:
            if self._server.poll() is None:
                self._server.kill()
                self._server.wait()
            self._server = None

    def change_first_note(self) -> None:
        """Rewrites the first note to another length and synchronises its library."""
        self._edits += 1
        (self.notes / "first.md").write_text(f"# First note\n\nThe heron left{', and came back' * self._edits}.\n", encoding="utf-8")
        self.run("library", "sync", "notes")

    def add_a_note(self) -> None:
        """Puts a page into the notes that was not there before, and synchronises."""
        self._edits += 1
        (self.notes / f"added-{self._edits}.md").write_text(f"# Added note {self._edits}\n\nNew.\n", encoding="utf-8")
        self.run("library", "sync", "notes")

    def audit_entries(self) -> list[dict[str, Any]]:
        """The last entries of the audit log, one JSON object a line."""
        return [json.loads(line) for line in self.run("--json", "audit", "tail").splitlines() if line.strip()]

    def remove(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
