"""`wayline ingest` and `wayline deadletter`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import uvicorn

from engine.api.app import create_app
from engine.cli.listening import listen
from engine.governance.keys import ensure_keys
from engine.services import build_services
from engine.settings import Settings
from tests.cli.conftest import Command

KEY = "write-key-of-the-tests"


def events(path: Path, *messages: object) -> Path:
    path.write_text("".join(json.dumps(message) + "\n" for message in messages), encoding="utf-8")
    return path


def viewed(number: int, user: str = "u1") -> dict[str, object]:
    return {
        "type": "track",
        "event": "product_viewed",
        "userId": user,
        "messageId": f"m{number}",
        "properties": {"product_id": "p1"},
    }


def test_a_file_taken_in_twice_counts_once(published: Command, tmp_path: Path) -> None:
    file = events(tmp_path / "e.jsonl", viewed(1), viewed(2), {"type": "dance"})
    assert published("ingest", file).out.startswith("accepted 2, duplicates 0, dead 1\n")
    again = published("ingest", file, "--format", "json")
    assert again.json == {"accepted": 0, "duplicates": 2, "dead": 1}


def test_purchases_come_in_from_columns(published: Command, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("customer,date,cds,dollars\n4,19970101,2,29.33\n4,19970118,2,29.73\n21,x,3,1\n")
    maps = ["userId=customer", 'event="order_paid"', "timestamp=date", "properties.amount:number=dollars"]
    maps += ["properties.order_id=date", "properties.quantity:number=cds"]
    arguments = [part for text in maps for part in ("--map", text)]
    shown = published(
        "ingest", file, *arguments, "--time-format", "%Y%m%d", "--timezone", "UTC", "--format", "json"
    )
    assert shown.json == {"accepted": 2, "duplicates": 0, "dead": 1}
    contact = published("contact", "show", "user:4", "--format", "json").json
    assert (contact["order_count"], contact["total_spent"]) == (2, 59.06)
    (letter,) = published("deadletter", "list", "--format", "json").json
    assert letter["message"] == "orders.csv:4: column 'date' does not hold a moment"


def test_a_missing_file_stops_before_anything_is_taken_in(published: Command, tmp_path: Path) -> None:
    file = events(tmp_path / "e.jsonl", viewed(1))
    shown = published("ingest", file, tmp_path / "missing.jsonl")
    assert (shown.status, shown.out) == (2, "")
    assert "missing.jsonl: there is no such file" in shown.err
    assert published("contact", "show", "user:u1").status == 2


def test_dead_letters_are_listed_shown_and_retried(published: Command, tmp_path: Path) -> None:
    rental = {
        "type": "track",
        "event": "rental_begun",
        "userId": "u1",
        "traits": {"email": "zoe@example.com"},
    }
    published("ingest", events(tmp_path / "e.jsonl", rental))
    (letter,) = published("deadletter", "list", "--format", "json").json
    shown = published("deadletter", "show", str(letter["id"]))
    assert "EV005" in shown.out
    assert "zoe@example.com" not in shown.out
    assert published("deadletter", "retry").out.startswith("resolved 0, still dead 1")
    (tmp_path / "rulesets" / "rentals.yaml").write_text(
        "kind: events\nid: rentals\ntitle: rentals\nowner: data\n"
        "events:\n  - {id: rental_begun, title: rental, schema: {type: object}}\n"
    )
    published("publish", tmp_path / "rulesets")
    assert published("deadletter", "retry", str(letter["id"])).out.startswith("resolved 1, still dead 0")
    assert published("deadletter", "list").out == "no dead letters\n"
    assert published("deadletter", "show", "99").status == 2
    assert "no dead letter 99" in published("deadletter", "retry", "99").err


@pytest.fixture
def server(published: Command) -> Iterator[str]:
    """The real HTTP server on a free port, over the same database."""
    del published
    services = build_services(Settings())
    with services.store.begin() as session:
        ensure_keys(session, write_key=KEY)
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(services), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()
    services.shelf.close()
    services.store.close()


def test_files_can_be_sent_to_a_server(published: Command, server: str, tmp_path: Path) -> None:
    file = events(tmp_path / "e.jsonl", viewed(1), viewed(2), {"type": "dance"})
    with file.open("a") as more:
        more.write("not json\n")
    shown = published("ingest", file, "--url", server, "--write-key", KEY, "--format", "json")
    assert shown.json == {"accepted": 2, "duplicates": 0, "dead": 2}
    assert "e.jsonl:4: the line is not JSON" in shown.err


def test_a_server_that_refuses_or_is_away_is_reported(
    published: Command, server: str, tmp_path: Path
) -> None:
    file = events(tmp_path / "e.jsonl", viewed(1))
    refused = published("ingest", file, "--url", server, "--write-key", "wrong")
    assert (refused.status, "401" in refused.err) == (2, True)
    away = published("ingest", file, "--url", "http://127.0.0.1:9", "--write-key", KEY)
    assert (away.status, "cannot be reached" in away.err) == (2, True)
    assert published("ingest", file, "--url", server).status == 2


def test_a_server_that_is_not_waylines_is_told_apart(published: Command, tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Page) as other:
        threading.Thread(target=other.handle_request).start()
        url = f"http://127.0.0.1:{other.server_port}"
        shown = published("ingest", events(tmp_path / "e.jsonl", viewed(1)), "--url", url, "--write-key", KEY)
    assert (shown.status, "is this a Wayline server?" in shown.err) == (2, True)


def test_what_senders_wrote_does_not_command_the_terminal(published: Command, tmp_path: Path) -> None:
    published("ingest", events(tmp_path / "e.jsonl", {**viewed(1), "event": "\x1b[2J\u202eevil"}))
    for command in (["list"], ["show", "1"]):
        out = published("deadletter", *command).out
        assert "evil" in out
        assert out.replace("\n", "").isprintable()
