#!/usr/bin/env python3
"""Writes docs/samples/cloud-day.jsonl: one day of a small cloud.

Every line has the shape of a notification that Glance or keystonemiddleware really wrote: the program takes
lines of `openstack-2026` as templates and replaces their values. The day holds an upload that never ends, a
deletion with its audit event and one without, downloads by two projects, an image that comes from Ceph
without an upload, a task that fails, failed uploads, and an image that is rebuilt twice.

  cloud_day.py           rewrites the file
  cloud_day.py --check   fails if the file differs

Two runs give the same bytes: ids come from a seeded generator.
"""

import datetime
import json
import pathlib
import random
import sys
import uuid

HERE = pathlib.Path(__file__).resolve().parent
SAMPLE = HERE.parent.parent / "docs" / "samples" / "cloud-day.jsonl"
RANDOM = random.Random(20261124)
DAY = datetime.datetime(2026, 11, 24)

WEB = "b7a1c5e4d3f24a6f9e8d7c6b5a493827"
DATA = "c0ffee00c0ffee00c0ffee00c0ffee00"
BUILD = "1a2b3c4d5e6f708192a3b4c5d6e7f809"
ALICE = ("6d1b0c9f2a7e4f3b8c5d0e9a1b2c3d4e", "alice", WEB, "203.0.113.17")
BOB = ("5e4d3c2b1a0f9e8d7c6b5a4938271605", "bob", DATA, "203.0.113.40")
ROBOT = ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", "image-builder", BUILD, "198.51.100.9")

LINES = []


def templates():
    """Returns the first notification of each event type and priority."""
    found = {}
    for name in ["glance-v1.jsonl", "audit-v1.jsonl"]:
        for line in (HERE / "openstack-2026" / name).read_text().splitlines():
            notification = json.loads(line)
            found.setdefault((notification["event_type"], notification["priority"]), notification)
    return found


TEMPLATES = templates()


def new_id():
    return str(uuid.UUID(int=RANDOM.getrandbits(128), version=4))


def at(clock):
    """Returns a time of the day, with microseconds that look like a real clock's."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return DAY + datetime.timedelta(
        hours=hours, minutes=minutes, seconds=seconds, microseconds=RANDOM.randrange(1, 999_999)
    )


def emit(time, event_type, payload, publisher, priority="INFO"):
    """Adds a notification with the attributes of its template, in their order."""
    notification = dict(TEMPLATES[event_type, priority])
    notification.pop("_unique_id", None)
    notification["message_id"] = new_id()
    notification["publisher_id"] = publisher
    notification["timestamp"] = str(time)
    if isinstance(payload, dict):
        template = notification["payload"]
        # Only the path of cached images has an address.
        unknown = set(payload) - set(template) - {"destination_ip"}
        assert not unknown, f"{event_type} has no {unknown}"
        payload = {**template, **payload}
    notification["payload"] = payload
    LINES.append((time, json.dumps(notification)))


class Image:
    """An image that lives through its API requests."""

    def __init__(self, name, owner, host="glance1", **facts):
        self.publisher = f"image.{host}"
        self.state = {
            "id": new_id(), "name": name, "status": "queued", "owner": owner, "checksum": None,
            "size": None, "virtual_size": None, "min_disk": 0, "min_ram": 0, "protected": False,
            "disk_format": "qcow2", "container_format": "bare", "is_public": False,
            "visibility": "private", "properties": {"os_distro": "debian"}, "tags": [],
            "deleted": False, "deleted_at": None, **facts,
        }

    @property
    def id(self):
        return self.state["id"]

    def event(self, time, event_type, **changes):
        self.state.update(changes)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.state.setdefault("created_at", stamp)
        if event_type not in ("image.prepare", "image.upload", "image.activate"):
            self.state["updated_at"] = stamp
        emit(time, event_type, dict(self.state), self.publisher)

    def create(self, clock, actor=None):
        time = at(clock)
        with_audit(time, actor, "create", "/v2/images", lambda now: self.event(now, "image.create"))
        return self

    def begin_upload(self, time):
        self.event(time, "image.update", status="saving")
        self.event(time + MILLISECOND * 6, "image.prepare")

    def upload(self, clock, size, seconds, actor=None):
        """Uploads `size` bytes, as a PUT of the data."""

        def events(now):
            self.begin_upload(now)
            end = now + datetime.timedelta(seconds=seconds, microseconds=RANDOM.randrange(999_999))
            done = {"status": "active", "size": size, "checksum": f"{RANDOM.getrandbits(128):032x}"}
            self.event(end, "image.upload", **done)
            self.event(end + MILLISECOND * 5, "image.activate")
            self.event(end + MILLISECOND * 10, "image.update")
            return end + MILLISECOND * 15

        with_audit(at(clock), actor, "update", f"/v2/images/{self.id}/file", events)
        return self

    def update(self, clock, actor=None, **changes):
        path = f"/v2/images/{self.id}"
        with_audit(at(clock), actor, "update", path, lambda now: self.event(now, "image.update", **changes))
        return self

    def send(self, clock, receiver, size=None, address=None):
        """Sends the data, or the first part of it."""
        user, _, project, _ = receiver
        payload = {
            "bytes_sent": size or self.state["size"], "image_id": self.id, "owner_id": self.state["owner"],
            "receiver_tenant_id": project, "receiver_user_id": user,
        }
        time = at(clock)
        if address:
            payload["destination_ip"] = address
        emit(time, "image.send", payload, self.publisher, "ERROR" if size else "INFO")
        return self

    def fail_upload(self, clock, text):
        time = at(clock)
        self.begin_upload(time)
        failed = time + datetime.timedelta(seconds=4)
        emit(failed, "image.upload", text.format(id=self.id), self.publisher, "ERROR")
        self.event(failed + MILLISECOND * 7, "image.update", status="queued")
        return self

    def delete(self, clock, actor=None, status="deleted"):
        def event(now):
            stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
            deleted = {"status": status, "deleted": True, "deleted_at": stamp}
            self.event(now, "image.delete", **deleted)

        with_audit(at(clock), actor, "delete", f"/v2/images/{self.id}", event)
        return self

    def refuse_delete(self, clock, actor):
        audit(at(clock), actor, "delete", f"/v2/images/{self.id}", "failure", "403", MILLISECOND * 6)


MILLISECOND = datetime.timedelta(milliseconds=1)


def with_audit(time, actor, action, path, events):
    """Emits the events of a request, and the audit events around them if the request has an actor."""
    codes = {"create": "201", "update": "200", "delete": "204"}
    end = events(time) or time
    if actor:
        before = MILLISECOND * 8
        audit(time - before, actor, action, path, "success", codes[action], end - time + before + MILLISECOND * 6)


def audit(time, actor, action, path, outcome, code, duration):
    user, name, project, address = actor
    event, request = new_id(), f"req-{new_id()}"
    for event_type, when in [("audit.http.request", time), ("audit.http.response", time + duration)]:
        payload = json.loads(json.dumps(TEMPLATES[event_type, "INFO"]["payload"]))
        payload.update(id=event, action=action, requestPath=path)
        payload["eventTime"] = time.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        payload["initiator"].update(id=user, name=name, project_id=project, request_id=request)
        payload["initiator"]["host"]["address"] = address
        payload["initiator"]["credential"]["token"] = "***"
        payload["tags"] = [f"correlation_id?value={new_id()}"]
        payload["outcome"] = "pending"
        if event_type == "audit.http.response":
            payload["outcome"] = outcome
            payload["reason"]["reasonCode"] = code
            payload["reporterchain"][0]["reporterTime"] = when.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        emit(when, event_type, payload, "glance-api")


def task(clock, owner, host, ends):
    """A task: its events at the given times."""
    start = at(clock)
    facts = {"id": new_id(), "owner": owner, "created_at": start.strftime("%Y-%m-%dT%H:%M:%SZ")}
    facts["expires_at"] = (start + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for event_type, status, seconds in [("task.create", "pending", 0), ("task.processing", "processing", 1), *ends]:
        time = start + datetime.timedelta(seconds=seconds, microseconds=RANDOM.randrange(1000, 9000))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        emit(time, event_type, {**facts, "status": status, "updated_at": stamp}, f"image.{host}")


def day():
    gib, mib = 1024**3, 1024**2

    # An image that is built every night under the same name; each build replaces the one before.
    first = Image("web-base", WEB, properties={"os_distro": "debian", "build": "1"})
    first.create("01:00:02", ROBOT).upload("01:00:05", 1207959552, 41, ROBOT)
    second = Image("web-base", WEB, properties={"os_distro": "debian", "build": "2"})
    second.create("05:00:01", ROBOT).upload("05:00:04", 1216348160, 44, ROBOT)
    first.delete("05:01:30", ROBOT)
    third = Image("web-base", WEB, properties={"os_distro": "debian", "build": "3"})
    third.create("13:00:01", ROBOT).upload("13:00:04", 1220542464, 43, ROBOT)
    # This deletion came through an API server without the audit filter.
    second.delete("13:01:29")
    third.send("14:10:55", ALICE)

    # The image that most servers boot from.
    debian = Image("debian-12", WEB, properties={"os_distro": "debian", "os_version": "12"})
    debian.create("08:02:11", ALICE).upload("08:02:14", 447741952, 19, ALICE)
    debian.update("08:05:40", ALICE, visibility="shared", tags=["stable"])
    debian.send("08:31:02", ALICE, address="192.0.2.21")
    debian.send("09:15:44", BOB, address="192.0.2.33")
    debian.send("10:02:10", BOB, size=268435456)
    debian.send("10:02:41", BOB, address="192.0.2.33")
    debian.update("11:20:05", ALICE, properties={"os_distro": "debian", "os_version": "12.9"})
    debian.refuse_delete("15:47:30", BOB)
    debian.delete("17:40:12", ALICE)

    # An upload whose client went away: no event ever tells.
    Image("training-set-4", DATA, host="glance2", disk_format="raw").create("11:14:58").begin_upload(at("11:15:03"))

    # Nova made this image inside Ceph and gave Glance only its location.
    snapshot = Image("db1-snapshot", DATA, host="glance2", disk_format="raw", properties={"image_type": "snapshot"})
    snapshot.create("12:30:00")
    snapshot.update("12:30:09", status="active", size=20 * gib)

    # Uploads that failed: one names its image, the other does not.
    broken = Image("ubuntu-24.04", DATA, host="glance2").create("11:30:12")
    broken.fail_upload("11:30:15", "Failed to upload image data for image {id} due to internal error: timed out")
    broken.fail_upload("11:41:20", "Image storage media is full: There is not enough disk space on the image storage media.")
    broken.upload("16:20:30", 618 * mib, 27)
    broken.send("16:45:00", BOB)

    # An import that succeeded and one that failed.
    imported = Image("fedora-43", DATA).create("09:40:00")
    task("09:40:03", DATA, "glance1", [("task.success", "success", 65)])
    imported.upload("09:40:20", 489 * mib, 40)
    Image("rawhide", DATA).create("10:10:00").update("10:10:04", status="importing")
    task("10:10:03", DATA, "glance1", [("task.failure", "failure", 12)])

    # Deleted, but kept until the scrubber comes.
    old = Image("debian-11", WEB, host="glance2").create("06:00:00").upload("06:00:03", 349 * mib, 15)
    old.delete("16:05:00", status="pending_delete")


def main():
    day()
    text = "".join(f"{line}\n" for _, line in sorted(LINES))
    if sys.argv[1:] == ["--check"]:
        if SAMPLE.read_text() != text:
            sys.exit(f"{SAMPLE} differs: run {pathlib.Path(__file__).name} to rewrite it")
    elif not sys.argv[1:]:
        SAMPLE.write_text(text)
        print(f"{len(LINES)} notifications")
    else:
        sys.exit(__doc__)


main()
