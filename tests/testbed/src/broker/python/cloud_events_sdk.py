"""The Python SDK of CloudEvents: reads and writes messages of RabbitMQ and of AMQP 1.0.

Each line of standard input is a request, and each line of standard output its answer. Bodies travel as
base64.
"""

import base64
import datetime
import json
import sys

from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent


def read(request):
    """Reads a message in the mode that the SDK recognises, and validates it."""
    body = base64.b64decode(request["body"])
    headers, content_type = request["headers"], request["content_type"]
    if request["binding"] == "rabbitmq":
        message = rabbitmq.RabbitMQMessage(headers, content_type, body)
        event = rabbitmq.from_rabbitmq_event(message)
    else:
        message = amqp.AMQPMessage({"content-type": content_type}, headers, body)
        event = amqp.from_amqp_event(message)
    attributes = {}
    for name, value in event.get_attributes().items():
        if isinstance(value, datetime.datetime):
            value = value.isoformat().replace("+00:00", "Z")
        attributes[name] = value
    return {"attributes": attributes, "data": event.get_data()}


def write(request):
    """Writes an event in the mode and by the binding of the request."""
    attributes = dict(request["attributes"])
    attributes["time"] = datetime.datetime.fromisoformat(attributes["time"])
    event = CloudEvent(attributes, request["data"])
    binding = rabbitmq if request["binding"] == "rabbitmq" else amqp
    is_binary = request["mode"] == "binary"
    to_message = binding.to_binary_event if is_binary else binding.to_structured_event
    message = to_message(event)
    if binding is rabbitmq:
        headers, content_type, body = message.headers, message.content_type, message.body
    else:
        headers, body = message.application_properties, message.application_data
        content_type = message.properties["content-type"]
    return {
        "headers": headers,
        "content_type": content_type,
        "body": base64.b64encode(body).decode(),
    }


OPERATIONS = {"read": read, "write": write}

for line in sys.stdin:
    request = json.loads(line)
    try:
        result = {"done": OPERATIONS[request["operation"]](request)}
    except Exception as error:
        result = {"failed": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(result), flush=True)
