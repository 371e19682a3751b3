# A sender on oslo.messaging, as every OpenStack service has one. This file continues common.py.

import logging
import tempfile

import oslo_messaging
from oslo_config import cfg

DRIVER = TASK["config"]

if DRIVER == "log":
    handler = logging.FileHandler(TASK["file"], mode="w")
    logging.getLogger("oslo.messaging.notification").addHandler(handler)
    logging.getLogger("oslo.messaging.notification").setLevel(logging.INFO)
logging.getLogger().setLevel(logging.ERROR)

with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
    file.write("[oslo_messaging_rabbit]\namqp_durable_queues = true\n")
    file.flush()
    conf = cfg.ConfigOpts()
    conf(["--config-file", file.name], project="bench")
oslo_messaging.set_transport_defaults("glance")
transport = oslo_messaging.get_notification_transport(
    conf, url="rabbit://guest:guest@127.0.0.1:%d/" % TASK["port"]
)
notifier = oslo_messaging.Notifier(
    transport, publisher_id="image.host1", driver=DRIVER, topics=["notifications"], retry=0
)
SEND = {"INFO": notifier.info, "WARN": notifier.warn, "ERROR": notifier.error}
NOTIFICATIONS = notifications()


def send(count):
    for _ in range(count):
        kind, priority, payload = next(NOTIFICATIONS)
        SEND[priority]({}, kind, payload)


# Warm up. oslo.messaging connects with its first notification.
send(TASK["messages"] // 10)
clock = Clock()
send(TASK["messages"])
clock.stop(TASK["messages"])
