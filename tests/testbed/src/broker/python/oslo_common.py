"""What the programs on oslo.messaging begin with."""

import json
import logging
import os
import sys
import tempfile

import oslo_messaging
from oslo_config import cfg


def configuration(options):
    """Options by group, read from a file as any service's are."""
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


def answer(value):
    # In one write, for there may be threads.
    sys.stdout.write(json.dumps(value) + "\n")


logging.basicConfig(level=logging.WARNING)
ASKED = json.loads(sys.argv[1])
