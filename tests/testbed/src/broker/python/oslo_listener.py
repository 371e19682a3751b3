# A notification listener as the documentation of oslo.messaging writes one. Follows oslo_common.py.
#
# Writes what it receives, one JSON value a line, after a first line that says that it listens.


class Endpoint:
    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        report("info", ctxt, publisher_id, event_type, payload, metadata)

    def warn(self, ctxt, publisher_id, event_type, payload, metadata):
        report("warn", ctxt, publisher_id, event_type, payload, metadata)

    def error(self, ctxt, publisher_id, event_type, payload, metadata):
        report("error", ctxt, publisher_id, event_type, payload, metadata)


def report(priority, ctxt, publisher_id, event_type, payload, metadata):
    answer(
        {
            "priority": priority,
            "context": ctxt,
            "publisher_id": publisher_id,
            "event_type": event_type,
            "payload": payload,
            "metadata": metadata,
        }
    )


TRANSPORT = oslo_messaging.get_notification_transport(
    configuration(ASKED["options"]), url=ASKED["url"]
)
TARGETS = [
    oslo_messaging.Target(topic=topic, exchange=ASKED["exchange"]) for topic in ASKED["topics"]
]
LISTENER = oslo_messaging.get_notification_listener(
    TRANSPORT, TARGETS, [Endpoint()], executor="threading"
)
LISTENER.start()
answer("ready")
# Whoever wants to know what arrives is gone when this ends.
sys.stdin.read()
os._exit(0)
