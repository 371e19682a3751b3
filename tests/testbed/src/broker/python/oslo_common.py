"""The common first part of the programs on oslo.messaging."""

import json
import logging
import os
import sys
import tempfile
import threading

import oslo_messaging
from oslo_config import cfg


def configuration(options):
    """Writes the options to a file and reads them as a service reads its own."""
    lines = []
    for group, values in options.items():
        lines.append("[%s]" % group)
        lines.extend("%s = %s" % item for item in values.items())
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("\n".join(lines))
        file.flush()
        conf = cfg.ConfigOpts()
        conf(["--config-file", file.name], project="test")
    return conf


def notifier(retry):
    """Returns the notifier of a publisher, as every OpenStack service has one."""
    oslo_messaging.set_transport_defaults(ARGUMENT["exchange"])
    transport = oslo_messaging.get_notification_transport(
        configuration(ARGUMENT["options"]), url=ARGUMENT["url"]
    )
    return oslo_messaging.Notifier(
        transport,
        publisher_id=ARGUMENT["publisher_id"],
        driver=ARGUMENT["driver"],
        topics=ARGUMENT["topics"],
        retry=retry,
    )


def answer(value):
    # oslo.messaging calls endpoints from several threads, and a write is not atomic.
    with ANSWER_LOCK:
        sys.stdout.write(json.dumps(value) + "\n")


logging.basicConfig(level=logging.WARNING)
ANSWER_LOCK = threading.Lock()
ARGUMENT = json.loads(sys.argv[1])
