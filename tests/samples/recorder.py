"""Records the notifications of one OpenStack service and writes them to files.

The recorder makes a run repeatable: it fixes the clock, the random identifiers, the host name and
the process id before any OpenStack module is imported. It does not build messages. The service's
own code and oslo.messaging do that; the recorder only copies what arrives at the other end:

* the driver `messaging` and the driver `messagingv2` publish through oslo.messaging's rabbit driver
  and kombu's memory transport. The recorder copies each message that the transport queues.
* the driver `log` writes through oslo.log to a log file. The recorder copies the file's lines.
"""

import base64
import collections
import datetime
import json
import logging
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import uuid

import time_machine

# The logger of oslo.messaging's driver `log`. The event type follows.
NOTIFICATION_LOGGER = "oslo.messaging.notification."

# The line that oslo.log writes by default, without and with a request context.
LINE = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s"
PLAIN = LINE + " [-] %(instance)s%(message)s"
CONTEXT = LINE + " [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s"


def with_prefix(prefix):
    """Returns the options of oslo.log that put `prefix` before each line."""
    return {
        "logging_default_format_string": prefix + PLAIN,
        "logging_context_format_string": prefix + CONTEXT,
    }


# Options of oslo.log, by the name that the file gets. The prefixes are those that programs put before
# the output of a container: Canonical's Pebble, and the runtimes of Kubernetes (CRI).
LOG_FORMATS = {
    "default": {},
    "pebble": with_prefix("%(isotime)s [wsgi-glance-api] "),
    "cri": with_prefix("%(isotime)s stdout F "),
    "json": {"use_json": "true"},
}

# How far the clock moves for each random identifier.
TICK = datetime.timedelta(microseconds=1003)


class Recorder:
    """One service: its directory, its clock and its messages."""

    def __init__(self, name, host, pid, start):
        """Fixes the surroundings. Call this before you import OpenStack's code."""
        self.name = name
        self.messages = []
        self._temporary = tempfile.TemporaryDirectory(prefix=f"{name}-")
        self.directory = pathlib.Path(self._temporary.name)
        self.log = self.directory / "log.txt"
        self._clock = time_machine.travel(start, tick=False)
        self._traveller = self._clock.start()
        self._fix_identifiers()
        socket.gethostname = lambda: host
        self._fix_log_records(pid)
        self._tap_transport()

    def wait(self, seconds):
        """Moves the clock."""
        self._traveller.shift(seconds)

    def wait_for_whole_second(self):
        """Moves the clock so that the next notification's timestamp has no fraction."""
        now = datetime.datetime.now(datetime.timezone.utc)
        second = now.replace(microsecond=0) + datetime.timedelta(seconds=1)
        self._traveller.move_to(second - TICK)

    def configuration(self, log_format="default", more="", **options):
        """Writes a configuration file for the service and returns its path.

        The options go into the section `DEFAULT`. `more` is the text of other sections.
        """
        options = {"log_file": self.log, **LOG_FORMATS[log_format], **options}
        lines = ["[DEFAULT]", "transport_url = kombu+memory:///"]
        lines += [f"{name} = {value}" for name, value in options.items()]
        lines += [
            "[oslo_messaging_notifications]",
            "driver = messaging",
            "driver = messagingv2",
            "driver = log",
        ]
        path = self.directory / "service.conf"
        path.write_text("\n".join(lines) + "\n" + more)
        return path

    def run(self, program, *arguments):
        """Runs a program of the Python environment in the service's directory."""
        command = [f"{sys.prefix}/bin/{program}", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{program} failed: {done.stdout}{done.stderr}")

    def write(self, output):
        """Writes the files of this service into the directory `output`."""
        bare = [m for m in self.messages if "oslo.version" not in json.loads(m["body"])]
        envelopes = [m for m in self.messages if "oslo.version" in json.loads(m["body"])]
        order = [json.loads(m["body"])["message_id"] for m in bare]
        inner = [json.loads(json.loads(m["body"])["oslo.message"]) for m in envelopes]
        if order != [message["message_id"] for message in inner]:
            raise SystemExit(f"{self.name}: the two drivers sent different notifications")
        self._write_lines(output, "-v1.jsonl", [m["body"] for m in bare])
        self._write_lines(output, "-v2.jsonl", [m["body"] for m in envelopes])
        self._write_lines(output, "-wire.jsonl", describe_all(bare + envelopes))
        self._write_lines(output, ".log", self._log_lines())

    def write_log(self, output, log_format):
        """Writes only the lines of the driver `log`, which have another format."""
        self._write_lines(output, f"-{log_format}.log", self._log_lines())

    def _log_lines(self):
        """Returns the lines of the log file that the driver `log` wrote."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if NOTIFICATION_LOGGER in line]

    def _write_lines(self, output, suffix, lines):
        """Writes one file of the service. Each line ends with a line feed."""
        text = "".join(line + "\n" for line in lines)
        for path, replacement in self._paths():
            text = text.replace(path, replacement)
        (pathlib.Path(output) / (self.name + suffix)).write_text(text, encoding="utf-8")

    def close(self):
        """Removes the temporary directory and starts the clock again."""
        logging.disable()
        self._clock.stop()
        self._temporary.cleanup()

    def _paths(self):
        """Returns the paths of this machine and the paths that replace them."""
        yield str(self.directory), f"/var/lib/{self.name}"
        yield site_packages(), "/usr/lib/python3/dist-packages"
        yield str(pathlib.Path(__file__).parent), "tests/samples"

    def _fix_identifiers(self):
        """Makes `uuid.uuid4` repeatable. Each identifier moves the clock a little."""
        source = random.Random(self.name)

        def uuid4():
            self._traveller.shift(TICK)
            return uuid.UUID(int=source.getrandbits(128), version=4)

        uuid.uuid4 = uuid4

    def _fix_log_records(self, pid):
        """Fixes the process id, the thread and the age of the process in log records."""
        original = logging.getLogRecordFactory()

        def record(*arguments, **options):
            made = original(*arguments, **options)
            made.process = pid
            made.thread = 139_637_976_727_552
            made.relativeCreated = 1000.0
            return made

        logging.setLogRecordFactory(record)

    def _tap_transport(self):
        """Copies each message that kombu's memory transport puts into a queue."""
        from kombu.transport import memory

        put = memory.Channel._put

        def copy_and_put(channel, queue, message, **options):
            body = base64.b64decode(message["body"]).decode("ascii")
            self.messages.append({**message, "queue": queue, "body": body})
            return put(channel, queue, message, **options)

        memory.Channel._put = copy_and_put


def describe_all(messages):
    """Returns the different addresses and AMQP properties as JSON, with the number of messages."""
    counts = collections.Counter(json.dumps(describe(message)) for message in messages)
    return [json.dumps({**json.loads(line), "messages": n}) for line, n in counts.items()]


def describe(message):
    """Returns the address and the AMQP properties of a message."""
    properties = message["properties"]
    return {
        "exchange": properties["delivery_info"]["exchange"],
        "routing_key": properties["delivery_info"]["routing_key"],
        "queue": message["queue"],
        "content_type": message["content-type"],
        "content_encoding": message["content-encoding"],
        "headers": message["headers"],
        "delivery_mode": properties["delivery_mode"],
        "priority": properties["priority"],
    }


def site_packages():
    """Returns the directory that the OpenStack packages are installed in."""
    return os.path.dirname(os.path.dirname(sys.modules["kombu"].__file__))
