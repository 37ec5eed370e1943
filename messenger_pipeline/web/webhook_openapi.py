"""The OpenAPI description of /api/webhook, which is no FastAPI route."""

from typing import Any

_ERROR = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}},
            }
        }
    }
}
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


def _parameter(where: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": True, "schema": {"type": "string", **schema}}


_VERIFICATION = [
    _parameter("query", "hub.mode", {"enum": ["subscribe"]}),
    _parameter("query", "hub.verify_token", {}),
    _parameter("query", "hub.challenge", {"minLength": 1, "maxLength": 1000}),
]

WEBHOOK_OPENAPI: dict[str, Any] = {
    "get": {
        "summary": "Verification: Meta checks that the webhook is yours",
        "operationId": "verify_webhook",
        "parameters": _VERIFICATION,
        "responses": {
            "200": {"description": "The challenge.", **_TEXT},
            "403": {"description": "Wrong mode or verify token.", **_ERROR},
        },
    },
    "head": {
        "summary": "Verification, without the challenge",
        "operationId": "verify_webhook_head",
        "parameters": _VERIFICATION,
        "responses": {
            "200": {"description": "The webhook is yours."},
            "403": {"description": "Wrong mode or verify token."},
        },
    },
    "post": {
        "summary": "A delivery: committed, acknowledged, then applied",
        "operationId": "receive_delivery",
        "parameters": [
            _parameter("header", "X-Hub-Signature-256", {"pattern": "^sha256=[0-9a-f]{64}$"})
        ],
        "requestBody": {
            "required": True,
            # Any signed body is accepted; its content is validated later.
            "content": {"application/json": {"schema": {}}},
        },
        "responses": {
            "200": {"description": "The raw body is committed.", **_TEXT},
            "403": {
                "description": "The signature is missing or wrong; nothing is stored.",
                **_ERROR,
            },
            "413": {"description": "The body is too large; nothing is stored.", **_ERROR},
            "503": {"description": "The database cannot be reached; send it again.", **_ERROR},
        },
    },
}
"""The three operations of /api/webhook."""
