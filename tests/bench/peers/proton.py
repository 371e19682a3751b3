# A pipelined sender on Qpid Proton, with one link for each queue and a window of TASK["window"]
# unsettled messages. This file continues common.py.

import datetime
import uuid

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container

WARM_UP = TASK["messages"] // 10
TOTAL = WARM_UP + TASK["messages"]


class Sender(MessagingHandler):
    def __init__(self):
        super().__init__()
        self.links = {}
        self.rows = notifications()
        self.next = next(self.rows)
        self.sent = self.accepted = 0
        self.epoch = str(uuid.uuid4())
        self.clock = None

    def on_start(self, event):
        connection = event.container.connect(
            "127.0.0.1:%d" % TASK["port"],
            user="guest",
            password="guest",
            sasl_enabled=True,
            allowed_mechs="PLAIN",
            allow_insecure_mechs=True,
            reconnect=False,
        )
        for priority in ("INFO", "ERROR"):
            address = "/amq/queue/notifications." + priority.lower()
            self.links[priority] = event.container.create_sender(connection, address)

    def on_sendable(self, event):
        self.send()

    def send(self):
        while self.sent < TOTAL and self.sent - self.accepted < TASK["window"]:
            kind, priority, payload = self.next
            link = self.links[priority]
            if not link.credit:
                return
            message_id = str(uuid.uuid4())
            now = datetime.datetime.utcnow()
            body = {
                "message_id": message_id,
                "publisher_id": "image.host1",
                "event_type": kind,
                "priority": priority,
                "timestamp": str(now),
                "payload": payload,
            }
            link.send(
                Message(
                    id=message_id,
                    subject="notifications." + priority.lower(),
                    content_type="application/json",
                    creation_time=now.timestamp(),
                    durable=True,
                    inferred=True,
                    properties={
                        "event_type": kind,
                        "priority": priority,
                        "publisher_id": "image.host1",
                        "glance-notify-epoch": self.epoch,
                        "glance-notify-lane": "notifications." + priority.lower(),
                        "glance-notify-number": self.sent + 1,
                    },
                    body=json.dumps(body).encode(),
                )
            )
            self.sent += 1
            self.next = next(self.rows)

    def on_accepted(self, event):
        self.accepted += 1
        if self.accepted == WARM_UP:
            self.clock = Clock()
        if self.accepted == TOTAL:
            self.clock.stop(TASK["messages"])
            event.connection.close()
        else:
            self.send()

    def on_rejected(self, event):
        sys.exit("the broker rejected a message")

    def on_released(self, event):
        sys.exit("the broker released a message")

    def on_transport_error(self, event):
        sys.exit(str(event.transport.condition))


Container(Sender()).run()
