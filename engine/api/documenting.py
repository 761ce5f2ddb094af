"""`/docs`: the OpenAPI document as one page that needs no script and nobody else's server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

_KEYS = {"_Basic": "write key", "HTTPBearer": "operator token"}
_STYLE = (
    "body{font:15px/1.6 sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:13px/1.5 monospace;background:#f4f4f4}pre{padding:.7rem;overflow:auto}"
    "h3{margin:2rem 0 .2rem;font:600 15px monospace}h3 b{display:inline-block;min-width:4rem}"
    "td,th{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top}small{color:#666}"
)

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every address with what it takes and who may ask; `/openapi.json` says the same to programs."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    page = "".join(_page(request.app.openapi()))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(info['description'])} "
    yield 'Errors are problem documents (RFC 9457). For programs: <a href="/openapi.json">OpenAPI</a>.</p>'
    tag = ""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"<h2>{escape(tag)}</h2>"
            yield from _operation(document, method, path, operation)
    yield "</html>"


def _operation(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    keys = [_KEYS.get(name, name) for each in operation.get("security", ()) for name in each]
    needs = f" <small>needs the {escape(' or '.join(keys))}</small>" if keys else ""
    yield f"<h3><b>{method.upper()}</b> {escape(path)}{needs}</h3>"
    yield f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
    if parameters := operation.get("parameters"):
        rows = (
            f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}<td>{_kind(each['schema'])}"
            f"<td>{escape(each.get('description', ''))}"
            for each in parameters
        )
        yield f"<table>{''.join(rows)}</table>"
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        yield from _body(document, content)


def _body(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[str]:
    schema = _resolved(document, content["schema"])
    if properties := schema.get("properties"):
        rows = (
            f"<tr><td><code>{escape(name)}</code><td>{_kind(each)}<td>{escape(each.get('description', ''))}"
            for name, each in properties.items()
        )
        yield f"<table>{''.join(rows)}</table>"
    if "example" in content:
        yield f"<pre>{escape(json.dumps(content['example'], ensure_ascii=False, indent=2))}</pre>"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][str(reference).rpartition("/")[2]]
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "enum" in schema:
        return escape(", ".join(map(str, schema["enum"])))
    if "anyOf" in schema:
        return ", or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    return escape(str(schema.get("type", "")))
