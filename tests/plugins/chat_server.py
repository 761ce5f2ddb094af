"""A server on loopback that speaks chat completions: it holds every request against the documented form."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError

KEY = "sk-of-the-tests"
MODEL = "small-model"
_FORM = TypeAdapter(CompletionCreateParamsNonStreaming)


@dataclass
class Reply:
    """What is answered once."""

    status: int = 200
    body: Any = None
    """JSON, or bytes as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    after: threading.Event | None = None
    """Nothing is answered before this."""


@dataclass
class ChatServer:
    """What was asked, and what is answered next; an ordinary text when nothing was arranged."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What was wrong with requests by the protocol."""
    writes: Callable[[dict[str, Any]], dict[str, str]] = field(default_factory=lambda: welcome)

    def reader_of(self, number: int = -1) -> dict[str, Any]:
        """What a request told of the reader."""
        found: dict[str, Any] = json.loads(self.asked[number]["messages"][1]["content"])
        return found

    def take(self, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        body = json.loads(raw)
        self.asked.append(body)
        if path != "/v1/chat/completions":
            self.faults.append(f"asked for {path}")
        if headers.get("authorization") != f"Bearer {KEY}":
            self.faults.append("the key is wrong")
            return Reply(401, {"error": {"message": "Incorrect API key", "type": "invalid_request_error"}})
        if headers.get("content-type") != "application/json":
            self.faults.append("it does not say that it is JSON")
        try:
            _FORM.validate_python(body)
        except ValidationError as error:
            self.faults.append(str(error))
        if body.get("stream"):
            self.faults.append("a stream is asked for")
        return self.replies.pop(0) if self.replies else Reply(body=completion(self.writes(body)))


def completion(said: Any, *, tokens: int | None = 120, **choice: Any) -> dict[str, Any]:
    """An answer in the documented form; `said` is what the model wrote, as JSON or as it stands."""
    text = said if isinstance(said, str) or said is None else json.dumps(said, ensure_ascii=False)
    message = {"role": "assistant", "content": text, "refusal": choice.pop("refusal", None)}
    made: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None, **choice},
        ],
    }
    if tokens is not None:
        made["usage"] = {"prompt_tokens": tokens - 20, "completion_tokens": 20, "total_tokens": tokens}
    return made


def welcome(_: dict[str, Any]) -> dict[str, str]:
    """What is written when nothing was arranged."""
    return {"subject": "", "body": "Welcome. We are glad that you are here.", "call_to_action": ""}


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """The server while it runs; whoever was not answered yet is let go of at the end."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = state.take(self.path, headers, raw)
            if reply.after is not None:
                reply.after.wait(60)
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"content-type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # who asked has gone away

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
