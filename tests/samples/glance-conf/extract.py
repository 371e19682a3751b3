"""Extracts the notification options of Glance's samples: `extract.py GLANCE_REPOSITORY`.

Writes one file for each release, with the lines of `etc/glance-api.conf` that set an option of
notifications or that show its default in a comment.
"""

import pathlib
import re
import subprocess
import sys

RELEASES = """
2011.3 2012.1 2012.2 2013.1 2013.2 2014.1 2014.2 2015.1.0 11.0.0 12.0.0 13.0.0 14.0.0 15.0.0 16.0.0 17.0.0
18.0.0 19.0.0 20.0.0 21.0.0 22.0.0 23.0.0 24.0.0 25.0.0 26.0.0 27.0.0 28.0.0 29.0.0 30.0.0 31.0.0 32.0.0
""".split()
# The options of `[DEFAULT]`. All options of the sections below count.
DEFAULT = re.compile(
    "(rabbit_|qpid_|kombu_|notif|rpc_backend|transport_url|control_exchange|default_publisher_id"
    "|disabled_notifications|log_file|log_dir|log_config)"
)
SECTIONS = {
    "DEFAULT",
    "oslo_messaging_notifications",
    "oslo_messaging_rabbit",
    "oslo_messaging_qpid",
    "oslo_messaging_amqp",
}


def extract(text):
    lines = []
    section = written = None
    for line in text.splitlines():
        if re.fullmatch(r"\[.+\]", line):
            section = line[1:-1]
        option = re.fullmatch(r"# ?([a-z_]+) =(.*)|([a-z_]+) ?=(.*)", line)
        if section not in SECTIONS or not option:
            continue
        name = option[1] or option[3]
        if section == "DEFAULT" and not DEFAULT.match(name):
            continue
        if section != written:
            lines.append("[%s]" % section)
            written = section
        mark = "#" if option[1] else ""
        lines.append("%s%s =%s" % (mark, name, (option[2] or option[4] or "").rstrip()))
    return "\n".join(lines) + "\n"


for release in RELEASES:
    command = ["git", "-C", sys.argv[1], "show", release + ":etc/glance-api.conf"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    pathlib.Path(__file__).with_name("stock").joinpath(release + ".conf").write_text(extract(text))
