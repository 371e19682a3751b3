# A listener on oslo.messaging, as Ceilometer has one, on a pool's queue. This file continues common.py.

import os
import tempfile

import oslo_messaging
from oslo_config import cfg

WARM_UP = TASK["messages"] // 10
TOTAL = WARM_UP + TASK["messages"]


class Endpoint:
    def __init__(self):
        self.count = 0
        self.clock = None

    def read(self, ctxt, publisher_id, event_type, payload, metadata):
        self.count += 1
        if self.count == WARM_UP:
            self.clock = Clock()
        if self.count == TOTAL:
            self.clock.stop(TASK["messages"])
            os._exit(0)

    info = warn = error = read


with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
    file.write("[oslo_messaging_rabbit]\namqp_durable_queues = true\nrabbit_qos_prefetch_count = 1000\n")
    file.flush()
    conf = cfg.ConfigOpts()
    conf(["--config-file", file.name], project="bench")
transport = oslo_messaging.get_notification_transport(
    conf, url="rabbit://guest:guest@127.0.0.1:%d/" % TASK["port"]
)
listener = oslo_messaging.get_notification_listener(
    transport,
    [oslo_messaging.Target(topic="notifications", exchange="glance")],
    [Endpoint()],
    executor="threading",
    pool=TASK["config"],
)
listener.start()
while True:
    time.sleep(60)
