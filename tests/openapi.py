"""Generate `docs/openapi.json` from the route table.

Source: OpenAPI specification 3.1.0.
"""

import re
from collections.abc import Iterator
from typing import Any

from exporttiles.domain.service import ServiceType
from exporttiles.rest import client_token
from exporttiles.rest.addresses import ROOT
from exporttiles.rest.http import FORMATS
from exporttiles.rest.job_documents import INPUT_NAMES, RESULT_NAME, VERIFICATION
from exporttiles.rest.job_resources import export_tiles
from exporttiles.rest.parameter_names import PARAMETERS
from exporttiles.rest.routes import NUMBERS, ROUTES, VARIANTS, Route

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
}
_ERROR_REFERENCE = {"$ref": "#/components/schemas/Error"}
_RESPONSES = {
    "Document": {
        "description": "The document, or an error.",
        "content": {
            "application/json": {"schema": {"anyOf": [{"type": "object"}, _ERROR_REFERENCE]}},
            "text/html": {"schema": {"type": "string"}},
        },
    },
    "Page": {
        "description": "Error page, if f=html. If f=json, errors have status 200.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    },
    "Missing": {
        "description": "There is no such tile or file.",
        "content": {"application/json": {"schema": _ERROR_REFERENCE}},
    },
}

_CLIENT_TOKEN_TEXT = (
    f"{client_token.MIN_CHARACTERS} to {client_token.MAX_CHARACTERS} characters, such as a UUID. "
    "Repeated requests with the same token start one job."
)
_CLIENT_TOKEN = {
    "type": "string",
    "minLength": client_token.MIN_CHARACTERS,
    "maxLength": client_token.MAX_CHARACTERS,
    "description": _CLIENT_TOKEN_TEXT,
}
_CARRIERS = {
    "EsriHeader": {"type": "apiKey", "in": "header", "name": "X-Esri-Authorization", "description": "Bearer TOKEN"},
    "Bearer": {"type": "http", "scheme": "bearer"},
    "Parameter": {"type": "apiKey", "in": "query", "name": "token", "description": "Query parameter or form field."},
}


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of all routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "exporttiles",
            "version": "1",
            "summary": "ArcGIS image services with the operation exportTiles.",
            "description": "A service name may contain one folder: Folder/Name.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {path: _path_item(path, route) for route in ROUTES for path in _paths(route)},
        "components": {
            "schemas": {"Error": _ERROR},
            "responses": _RESPONSES,
            "parameters": dict(map(_export_parameter, PARAMETERS)),
            "securitySchemes": _CARRIERS,
        },
        "security": [{}, *({name: []} for name in _CARRIERS)],  # {}: a stack without tokens
    }


def _paths(route: Route) -> Iterator[str]:
    """Yield the path of a route, once for each value of its variants."""
    paths = [ROOT + route.path]
    for name, values in VARIANTS.items():
        part = f"{{{name}}}"
        paths = [path.replace(part, value) for path in paths for value in (values if part in path else ("",))]
    return iter(paths)


def _path_item(path: str, route: Route) -> dict[str, Any]:
    methods = {"get": _operation(path, route, "get"), "post": _operation(path, route, "post")}
    named = [_path_parameter(path, name) for name in re.findall(r"{(\w+)}", path)]
    return {"parameters": named, **methods} if named else methods


def _path_parameter(path: str, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": 0} if name in NUMBERS else {"type": "string"}
    if name == "service_type":
        schema["enum"] = list(map(str, ServiceType))
    if name == "name":
        schema["enum"] = list(INPUT_NAMES) if path.endswith("/inputs/{name}") else [RESULT_NAME, VERIFICATION]
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(path: str, route: Route, method: str) -> dict[str, Any]:
    summary = (route.resource.__doc__ or "").partition("\n")[0]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method}{path.removeprefix(ROOT) or '/root'}").strip("_"),
        "summary": summary,
        "responses": _responses(route),
    }
    form: dict[str, Any] = {"f": {"enum": list(FORMATS), "default": route.default_format}}
    query: list[dict[str, Any]] = [{"name": "f", "in": "query", "schema": form["f"]}]
    if "{submit}" in route.path:
        form |= {name: {"type": "string"} for name in PARAMETERS}
        query += [{"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS]
    if route.resource is export_tiles:
        form[client_token.PARAMETER] = _CLIENT_TOKEN
        query.append({"name": client_token.PARAMETER, "in": "query", "schema": _CLIENT_TOKEN})
        operation["parameters"] = [{"name": client_token.HEADER, "in": "header", "schema": _CLIENT_TOKEN}]
    if method == "get":
        operation["parameters"] = [*query, *operation.get("parameters", [])]
    else:
        schema = {"type": "object", "properties": form}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    return operation


def _export_parameter(name: str) -> tuple[str, dict[str, Any]]:
    return name, {"name": name, "in": "query", "description": PARAMETERS[name], "schema": {"type": "string"}}


def _responses(route: Route) -> dict[str, Any]:
    document = {"200": {"$ref": "#/components/responses/Document"}}
    if not route.sends_bytes:
        moved = {"303": {"description": "Redirect to the next page, if f=html."}} if route.changes_state else {}
        return {**document, **moved, "4XX": {"$ref": "#/components/responses/Page"}}
    missing = {"4XX": {"$ref": "#/components/responses/Missing"}}
    if route.path.endswith("{file}"):
        return {**document, "302": {"description": "Redirect to the file."}, **missing}
    return {"200": {"description": "The tile."}, **missing}
