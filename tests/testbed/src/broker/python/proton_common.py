"""The common first part of the programs on Qpid Proton.

The programs write one JSON value per line to standard output.
"""

import base64
import json
import sys
import uuid


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def symbol_or_none(value):
    """Converts a symbol to text. Proton represents an absent symbol as the symbol `None`."""
    return None if str(value) == "None" else str(value)


def describe(message):
    """Describes every section of a message as the test crate's `ProtonMessage`."""
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
