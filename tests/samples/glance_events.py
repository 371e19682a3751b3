"""Lets Glance's own API service notify all of its event types.

    glance_events.py OUTPUT [LOG-FORMAT]

Without a log format, writes every file of Glance. With one, notifies the life of one image and
writes only the lines of the log, in that format.
"""

import gc
import struct
import sys
import unittest.mock

import recorder
from glance_service import ADMIN, OTHER, Glance

# The header of a QCOW2 file of version 2 that holds a disk of 64 MiB.
QCOW2 = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 2**26, 0, 1, 2**17, 2**16, 1, 0, 0)


def image_lifecycle(glance):
    """An image from its record to its deletion, with every kind of download."""
    image = glance.create(
        id="1b3c5d7e-9f10-4a2b-8c4d-6e8f0a1b2c3d",
        name="Ubuntu 26.04 \u201eÜber\u201c \u65e5\u672c\u8a9e",
        disk_format="qcow2",
        container_format="bare",
        min_disk=20,
        min_ram=2048,
        visibility="private",
        tags=["lts"],
        os_distro="ubuntu",
        os_version="26.04",
        hw_disk_bus="scsi",
        description='\u00b5 quotes " backslash \\ tab \t line \n end',
    )
    glance.upload(image, QCOW2.ljust(512, b"\0"))
    glance.patch(image, name="ubuntu-26.04", visibility="shared", protected=True)
    glance.request("PUT", f"/v2/images/{image}/tags/cloud")
    glance.request("GET", f"/v2/images/{image}/file", Range="bytes=0-99")
    # The first download of a whole image comes from the store, the second from the cache.
    glance.request("GET", f"/v2/images/{image}/file")
    glance.request("GET", f"/v2/images/{image}/file")
    members(glance, image)
    glance.request("POST", f"/v2/images/{image}/actions/deactivate", ADMIN)
    glance.request("POST", f"/v2/images/{image}/actions/reactivate", ADMIN)
    glance.patch(image, protected=False)
    glance.request("DELETE", f"/v2/images/{image}")


def simple_image(glance):
    """An image that is uploaded and deleted."""
    image = glance.create(name="cirros", disk_format="raw", container_format="bare")
    glance.upload(image, b"\xeb" * 1024)
    glance.request("DELETE", f"/v2/images/{image}")


def members(glance, image):
    """Shares an image with another project."""
    path = f"/v2/images/{image}/members"
    member = OTHER["X-Project-Id"]
    glance.request("POST", path, body={"member": member})
    glance.request("PUT", f"{path}/{member}", OTHER, body={"status": "accepted"})
    glance.request("GET", f"/v2/images/{image}/file", OTHER)
    glance.request("DELETE", f"{path}/{member}")


def unusual_images(glance):
    """Images with null fields, large numbers, other visibilities and late data."""
    glance.create()
    image = glance.create(
        ADMIN,
        name="x" * 255,
        disk_format="ami",
        container_format="ami",
        kernel_id="5a3ad1fc-4c6b-4c3a-8a0e-2d5a2cb3a001",
        ramdisk_id="5a3ad1fc-4c6b-4c3a-8a0e-2d5a2cb3a002",
        min_disk=2**31 - 1,
        min_ram=2**31 - 1,
        visibility="public",
    )
    glance.upload(image, b"", ADMIN)
    image = glance.create(
        ADMIN, name="windows", disk_format="vhd", container_format="ovf", visibility="community"
    )
    set_size(glance, image, 2**40)
    glance.patch(image, ADMIN, name="windows-2025")
    # Glance keeps the file until the scrubber removes it.
    configure(delayed_delete=True)
    simple_image(glance)
    configure(delayed_delete=False)


def interrupted_downloads(glance):
    """Downloads that end before the last byte."""
    from glance.common import exception

    image = glance.create(name="half", disk_format="raw", container_format="bare")
    data = b"0123456789" * 10_000
    glance.upload(image, data)
    path = glance.directory / "fast" / image
    path.write_bytes(data[:4096])
    response = glance.start("GET", f"/v2/images/{image}/file")
    try:
        response.body
    except exception.GlanceException:
        # The cache refuses the data, whose checksum is wrong. The client has received it.
        pass
    path.write_bytes(data)
    glance.request("GET", f"/v2/images/{image}/file")
    # The client reads one block from the cache and closes the connection.
    response = glance.start("GET", f"/v2/images/{image}/file")
    next(iter(response.app_iter))
    response.app_iter.close()
    del response
    gc.collect()


def failed_uploads(glance):
    """An upload for each branch of Glance's handler of upload errors."""
    import glance_store
    import webob.exc
    from glance.common import exception

    failures = [
        (glance_store.StorageFull(), 413),
        (glance_store.StorageWriteDenied(), 503),
        (glance_store.exceptions.TimeoutError(timeout=30), 503),
        (ValueError("I/O operation on closed file."), 400),
        (exception.Duplicate(), 409),
        (exception.Forbidden(action="upload_image"), 403),
        (exception.ImageNotFound("Image was deleted during the upload."), 404),
        (webob.exc.HTTPBadGateway("The store's gateway answered 502."), 502),
        (glance_store.BackendException("rbd: pool 'images' \u2013 error -108"), 500),
    ]
    image = glance.create(name="broken", disk_format="raw", container_format="bare")
    for failure, status in failures:
        with unittest.mock.patch(STORE, side_effect=failure):
            glance.upload(image, b"data", expect=(status,))
    # Two failures that need no help: the file exists already, and the quota is too small.
    image = glance.create(name="twice", disk_format="raw", container_format="bare")
    (glance.directory / "fast" / image).write_bytes(b"here already")
    glance.upload(image, b"data", expect=(409, 500))
    image = glance.create(name="too large", disk_format="raw", container_format="bare")
    configure(user_storage_quota="150KB")
    glance.upload(image, b"d" * 90_000, expect=(413,))
    configure(user_storage_quota="0")


def imports(glance):
    """Images that arrive by the import API: tasks run, succeed and fail."""
    # One of two stores fails, and the import goes on without it.
    image = glance.create(name="half imported", disk_format="raw", container_format="bare")
    glance.request("PUT", f"/v2/images/{image}/stage", data=b"staged data")
    (glance.directory / "archive" / image).write_bytes(b"here already")
    run_import(glance, image, "archive", "fast")
    # The staged data has gone, and so the task fails.
    image = glance.create(name="not imported", disk_format="raw", container_format="bare")
    glance.request("PUT", f"/v2/images/{image}/stage", data=b"staged data")
    (glance.directory / "staging" / image).unlink()
    run_import(glance, image, "fast")


def tasks(glance):
    """A task that is removed. The API refuses this, so Glance's gateway does it."""
    import glance.context
    import glance.gateway

    context = glance_context()
    gateway = glance.gateway.Gateway()
    factory = gateway.get_task_factory(context)
    repository = gateway.get_task_repo(context)
    task = factory.new_task(
        task_type="import",
        owner=context.project_id,
        image_id=None,
        user_id=context.user_id,
        request_id=context.request_id,
        task_input={"import_from": "https://images.example.org/cirros.img"},
    )
    repository.add(task)
    repository.remove(repository.get(task.task_id))


def metadata_definitions(glance):
    """Every event type of the metadata definitions catalogue."""
    name = "OS::Compute::Example"
    namespace = f"/v2/metadefs/namespaces/{name}"

    def send(method, path="", **body):
        glance.request(method, namespace + path, ADMIN, body=body or None)

    glance.request(
        "POST",
        "/v2/metadefs/namespaces",
        ADMIN,
        body={
            "namespace": name,
            "display_name": "Beispiel \u2013 Größe",
            "description": "An example of a namespace",
            "visibility": "public",
            "protected": False,
        },
    )
    send("PUT", namespace=name, display_name="Example", visibility="private")

    send("POST", "/resource_types", name="OS::Glance::Image", prefix="hw_")
    send("DELETE", "/resource_types/OS::Glance::Image")

    watchdog = {
        "type": "string",
        "title": "Watchdog action",
        "description": "What the watchdog does",
        "enum": ["disabled", "reset", "pause"],
        "default": "disabled",
    }
    size = {"type": "integer", "title": "Size", "minimum": 1, "maximum": 64}
    send("POST", "/objects", name="watchdog", properties={"action": watchdog, "size": size})
    send("PUT", "/objects/watchdog", name="watchdog2", description="Renamed", required=["action"])
    send("DELETE", "/objects/watchdog2")

    send("POST", "/properties", name="action", **watchdog)
    send("PUT", "/properties/action", name="action2", **size)
    send("DELETE", "/properties/action2")

    send("POST", "/tags/first")
    send("PUT", "/tags/first", name="second")
    send("DELETE", "/tags/second")
    send("POST", "/tags", tags=[{"name": "red"}, {"name": "green"}])

    send("POST", "/objects", name="last")
    send("POST", "/properties", name="last", **size)
    send("DELETE", "/objects")
    send("DELETE", "/properties")
    send("DELETE", "/tags")
    send("DELETE")


def run_import(glance, image, *stores):
    """Imports the staged data of an image into stores."""
    body = {"method": {"name": "glance-direct"}, "stores": stores, "all_stores_must_succeed": False}
    glance.request("POST", f"/v2/images/{image}/import", body=body)


def set_size(glance, image, size):
    """Gives an image a size without data, as an image in a remote store has."""
    from glance.db.sqlalchemy import api

    values = {"size": size, "virtual_size": size}
    api.image_update(glance_context(), image, values, from_state="queued")


def glance_context():
    """Returns the request context of an administrator."""
    import glance.context

    return glance.context.RequestContext(
        user_id=ADMIN["X-User-Id"],
        project_id=ADMIN["X-Project-Id"],
        roles=["admin", "member", "reader"],
        is_admin=True,
    )


def configure(**options):
    """Changes options of the running service."""
    from oslo_config import cfg

    for name, value in options.items():
        cfg.CONF.set_override(name, value)


# The method that stores an image's data in a file.
STORE = "glance_store._drivers.filesystem.Store.add"

SCENARIOS = [
    image_lifecycle,
    unusual_images,
    interrupted_downloads,
    failed_uploads,
    imports,
    tasks,
    metadata_definitions,
]


def main():
    output, *log_format = sys.argv[1:]
    recording = recorder.Recorder("glance", "glance1.example.org", 21646, "2026-11-22T12:00:00Z")
    if log_format:
        (name,) = log_format
        simple_image(Glance(recording, log_format=name))
        recording.write_log(output, name)
    else:
        glance = Glance(recording)
        for scenario in SCENARIOS:
            scenario(glance)
        recording.write(output)
    recording.close()


if __name__ == "__main__":
    main()
