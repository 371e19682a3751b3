"""What the programs on Qpid Proton share: one JSON value a line each way, and messages in full."""

import base64
import json
import sys
import uuid


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def symbol_or_none(value):
    """Proton makes the symbol `None` of one that is absent."""
    return None if str(value) == "None" else str(value)


def described(message):
    """Everything that arrived with a message, and its body."""
    body = message.body
    section = "value"
    if message.inferred and isinstance(body, (bytes, memoryview)):
        section = "data"
    if isinstance(body, str):
        body = body.encode()
    return {
        "durable": message.durable,
        "priority": message.priority,
        "id": str(message.id),
        "id_type": "uuid" if isinstance(message.id, uuid.UUID) else type(message.id).__name__,
        "subject": message.subject,
        "content_type": symbol_or_none(message.content_type),
        "content_encoding": symbol_or_none(message.content_encoding),
        "creation_time": round(message.creation_time * 1000),
        "properties": {str(key): value for key, value in (message.properties or {}).items()},
        "section": section,
        "body": base64.b64encode(bytes(body)).decode(),
    }
