# A notification listener, after the example in oslo.messaging's documentation. This file continues
# oslo_common.py.
#
# The first line of its output is "ready". Then it writes each notification as one line of JSON.

# oslo.messaging names the connection after the program.
sys.argv[0] = "ceilometer-agent-notification"


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
    configuration(ARGUMENT["options"]), url=ARGUMENT["url"]
)
TARGETS = [
    oslo_messaging.Target(topic=topic, exchange=ARGUMENT["exchange"])
    for topic in ARGUMENT["topics"]
]
LISTENER = oslo_messaging.get_notification_listener(
    TRANSPORT, TARGETS, [Endpoint()], executor="threading", pool=ARGUMENT["pool"]
)
LISTENER.start()
answer("ready")
# Standard input ends when the test does.
sys.stdin.read()
os._exit(0)
