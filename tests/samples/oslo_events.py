"""Lets oslo.messaging's own notifier send at every priority, and payloads of every kind.

    oslo_events.py OUTPUT [lenient]

Without `lenient`, writes valid JSON to the files `oslo`. With it, writes to the files `oslo-lenient`
what Python's JSON encoder accepts and a strict decoder refuses.
"""

import datetime
import decimal
import sys
import uuid

import recorder

HOST = "host1.example.org"
PRIORITIES = ["audit", "debug", "info", "warn", "error", "critical", "sample"]


def start(recording):
    """Returns the transport that a program without options of its own uses."""
    import oslo_messaging
    from oslo_config import cfg
    from oslo_log import log

    log.register_options(cfg.CONF)
    cfg.CONF([], project="example", default_config_files=[str(recording.configuration())])
    log.setup(cfg.CONF, "example")
    return oslo_messaging.get_notification_transport(cfg.CONF)


def valid(recording):
    """What every reader must read."""
    import oslo_messaging
    from oslo_context import context

    transport = start(recording)
    notifier = oslo_messaging.Notifier(transport, publisher_id="example.host1")

    def send(event_type, payload, priority="info", request=None, to=notifier):
        recording.wait(1)
        getattr(to, priority)(request or {}, event_type, payload)

    for priority in PRIORITIES:
        send("example.priority", {"priority": priority}, priority)
    for payload in ("a text", None, 42, 1.5, True, [], ["a", 1], {}):
        send("example.payload", payload)
    secrets = {
        "admin_pass": "planted",
        "text": "password=planted",
        "nested": {"auth_token": "planted"},
    }
    send("example.secrets", secrets)
    # The driver `messaging` leaves some values to kombu, which marks their types.
    values = {
        "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 678),
        "uuid": uuid.UUID("7f28f81b-29a2-43f2-9ba1-ccb3e53ab6c8"),
        "decimal": decimal.Decimal("1.50"),
        "date": datetime.date(2026, 1, 2),
    }
    send("example.values", values)
    send("example.numbers", {"large": 2**70, "negative": -(2**63), "float": 1e300, "tiny": 5e-324})
    send("example.unicode", {"\u00fc": "\u2028 \U0001f427 \x00 \x7f <&>"})

    recording.wait_for_whole_second()
    notifier.info({}, "example.whole_second", {})

    both = oslo_messaging.Notifier(
        transport, publisher_id="example.host1", topics=["notifications", "glance_notify"]
    )
    send("example.two_topics", {}, to=both)

    request = context.RequestContext(
        auth_token="gAAAAABfake-token-that-must-never-appear",
        user_id="6d1b0c9f2a7e4f3b8c5d0e9a1b2c3d4e",
        project_id="b7a1c5e4d3f24a6f9e8d7c6b5a493827",
        user_domain_id="default",
        project_domain_id="default",
        roles=["member"],
        request_id="req-4f3b8c5d-0e9a-4b2c-8d4e-5f6071829304",
        global_request_id="req-99999999-8888-4777-8666-555555555555",
        resource_uuid="4f0e2d1c-3b5a-4968-8774-65f3e2d1c0b9",
    )
    for priority in ("info", "warn", "error"):
        send("example.context", {"priority": priority}, priority, request)


def lenient(recording):
    """What Python writes, although JSON forbids it."""
    import oslo_messaging

    notifier = oslo_messaging.Notifier(start(recording), publisher_id="example.host1")
    for payload in (
        {"size": float("nan")},
        {"size": float("inf")},
        {"size": float("-inf")},
        {"name": "caf\udce9"},
    ):
        recording.wait(1)
        notifier.info({}, "example.lenient", payload)


def main():
    output, *variant = sys.argv[1:]
    sys.argv = ["example"]
    if variant:
        recording = recorder.Recorder("oslo-lenient", HOST, 4242, "2026-11-26T13:00:00Z")
        lenient(recording)
    else:
        recording = recorder.Recorder("oslo", HOST, 4242, "2026-11-26T12:00:00Z")
        valid(recording)
    recording.write(output)
    recording.close()


if __name__ == "__main__":
    main()
