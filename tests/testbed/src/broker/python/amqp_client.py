"""An AMQP 0-9-1 client on py-amqp, which oslo.messaging depends on.

The client reads requests from standard input and writes answers to standard output, one JSON value
per line. Bodies travel as base64.
"""

import base64
import datetime
import json
import sys

import amqp


def connect(request):
    connection = amqp.Connection(
        host="127.0.0.1:%d" % request["port"],
        userid="guest",
        password="guest",
        virtual_host=request["vhost"],
        connect_timeout=20,
        read_timeout=60,
        write_timeout=60,
        confirm_publish=True,
    )
    connection.connect()
    return connection


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")


def to_json(value):
    """Converts a value of a field table to JSON."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, datetime.datetime):
        return int(value.replace(tzinfo=datetime.timezone.utc).timestamp())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def describe(message, bodies):
    """Describes a delivered message as the test crate's `RabbitMqMessage`."""
    properties = {key: to_json(value) for key, value in message.properties.items()}
    headers = properties.pop("application_headers", None)
    info = message.delivery_info
    return {
        "exchange": info["exchange"],
        "routing_key": info["routing_key"],
        "redelivered": bool(info["redelivered"]),
        "properties": properties,
        "headers": headers,
        "body": base64.b64encode(body_of(message)).decode() if bodies else "",
    }


def body_of(message):
    body = message.body
    return body.encode("utf-8") if isinstance(body, str) else bytes(body)


def declare_exchange(channel, request):
    options = request["options"]
    channel.exchange_declare(
        request["name"],
        request["type"],
        durable=options.get("durable", False),
        auto_delete=options.get("auto_delete", False),
        arguments=options.get("arguments"),
    )


def declare_queue(channel, request):
    options = request["options"]
    channel.queue_declare(
        request["name"],
        durable=options.get("durable", False),
        auto_delete=options.get("auto_delete", False),
        exclusive=False,
        arguments=options.get("arguments"),
    )


def bind(channel, request):
    channel.queue_bind(request["queue"], request["exchange"], request["routing_key"])


def unbind(channel, request):
    channel.queue_unbind(request["queue"], request["exchange"], request["routing_key"])


def delete_queue(channel, request):
    channel.queue_delete(request["name"], if_empty=request.get("if_empty", False))


def delete_exchange(channel, request):
    channel.exchange_delete(request["name"])


def purge(channel, request):
    return channel.queue_purge(request["name"])


def publish(channel, request):
    properties = dict(request["properties"])
    if "headers" in properties:
        # py-amqp has another name for them.
        properties["application_headers"] = properties.pop("headers")
    for body in request["bodies"]:
        message = amqp.Message(base64.b64decode(body), **properties)
        channel.basic_publish(
            message, exchange=request["exchange"], routing_key=request["routing_key"]
        )


def drain(channel, request):
    """Takes messages until the queue has none ready."""
    count = 0
    expected = 0

    def on_message(message):
        nonlocal count
        count += 1
        answer({"message": describe(message, request["bodies"])})
        # One acknowledgement per message would double the traffic.
        if count % 100 == 0 or count >= expected:
            channel.basic_ack(message.delivery_tag, multiple=True)

    # Without this, py-amqp decodes bodies by their content encoding.
    channel.auto_decode = False
    channel.basic_qos(0, 1000, False)
    while True:
        ready = channel.queue_declare(request["name"], passive=True).message_count
        if ready == 0:
            return count
        expected = count + ready
        tag = channel.basic_consume(request["name"], callback=on_message)
        while count < expected:
            channel.connection.drain_events(timeout=60)
        channel.basic_cancel(tag)


OPERATIONS = {
    function.__name__: function
    for function in (
        declare_exchange,
        declare_queue,
        bind,
        unbind,
        delete_queue,
        delete_exchange,
        purge,
        publish,
        drain,
    )
}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with connect(request) as connection:
                channel = connection.channel()
                result = OPERATIONS[request["operation"]](channel, request)
            answer({"done": result})
        except Exception as error:
            answer({"failed": "%s: %s" % (type(error).__name__, error)})


main()
