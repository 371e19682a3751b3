"""Lets Cinder's own code notify what happens to volumes, snapshots and backups.

    cinder_events.py OUTPUT

No volume service runs here. The functions below save Cinder's objects in Cinder's SQLite database
and call Cinder's functions for notifications in the order in which the volume manager calls them.
"""

import sys

import recorder

OPTIONS = """
[database]
connection = sqlite:///{directory}/cinder.sqlite
[oslo_concurrency]
lock_path = {directory}/locks
"""

HOST = "block1.example.org@ceph#ceph"
PROJECT = "b7a1c5e4d3f24a6f9e8d7c6b5a493827"
USER = "6d1b0c9f2a7e4f3b8c5d0e9a1b2c3d4e"
IMAGE = "1b3c5d7e-9f10-4a2b-8c4d-6e8f0a1b2c3d"
SERVER = "4f0e2d1c-3b5a-4968-8774-65f3e2d1c0b9"


def start(recording):
    """Starts Cinder's libraries as the service cinder-volume does."""
    from cinder import objects, rpc, version
    from cinder.common import config  # noqa: F401 (registers the options)
    from oslo_config import cfg
    from oslo_log import log

    configuration = recording.configuration(more=OPTIONS.format(directory=recording.directory))
    recording.run("cinder-manage", "--config-file", configuration, "db", "sync")
    objects.register_all()
    log.register_options(cfg.CONF)
    cfg.CONF(
        [],
        project="cinder",
        version=version.version_string(),
        default_config_files=[str(configuration)],
    )
    log.setup(cfg.CONF, "cinder")
    rpc.set_defaults(control_exchange="cinder")
    rpc.init(cfg.CONF)


def user_context():
    """Returns the context of a user's request, with the token that oslo.messaging must redact."""
    from cinder import context

    return context.RequestContext(
        user_id=USER,
        project_id=PROJECT,
        user_name="alice",
        project_name="demo",
        user_domain_id="default",
        project_domain_id="default",
        auth_token="gAAAAABfake-token-that-must-never-appear",
        roles=["member", "reader"],
        is_admin=False,
        remote_address="203.0.113.17",
        request_id="req-7d6c5b4a-3928-4170-8f6e-5d4c3b2a1908",
    )


def volume_from_image(context, recording):
    """A volume that is made from an image, attached to a server and made larger."""
    from cinder import objects
    from cinder.db import api as db
    from cinder.volume import volume_utils
    from oslo_utils import timeutils

    volume = objects.Volume(
        context,
        user_id=USER,
        project_id=PROJECT,
        host=HOST,
        size=20,
        status="creating",
        attach_status="detached",
        availability_zone="nova",
        display_name="boot volume \U0001f4be",
        display_description="",
        volume_type_id=volume_type(context),
        metadata={"purpose": "boot"},
        bootable=False,
    )
    volume.create()
    volume_utils.notify_about_volume_usage(context, volume, "create.start", host=HOST)
    recording.wait(4)
    for key, value in (("image_id", IMAGE), ("image_name", "ubuntu-26.04"), ("size", "512")):
        db.volume_glance_metadata_create(context, volume.id, key, value)
    volume.status = "available"
    volume.launched_at = timeutils.utcnow()
    volume.save()
    volume_utils.notify_about_volume_usage(context, volume, "create.end", host=HOST)

    attachment = objects.VolumeAttachment(
        context, volume_id=volume.id, attach_status="attaching", instance_uuid=SERVER
    )
    attachment.create()
    volume_utils.notify_about_volume_usage(context, volume, "attach.start", host=HOST)
    attachment.finish_attach(SERVER, "compute1.example.org", "/dev/vda", "rw")
    volume_utils.notify_about_volume_usage(context, volume, "attach.end", host=HOST)
    volume.finish_detach(attachment.id)
    volume.size = 40
    volume.save()
    volume_utils.notify_about_volume_usage(
        context, volume, "resize.end", extra_usage_info={"size": 40}, host=HOST
    )
    return volume


def volume_type(context):
    """Creates a type of volumes and returns its id."""
    from cinder.volume import volume_types

    made = volume_types.create(context.elevated(), "ssd", {"volume_backend_name": "ceph"})
    return made["id"]


def snapshot(context, volume, recording):
    """A snapshot from its creation to its deletion."""
    from cinder import objects
    from cinder.volume import volume_utils

    made = objects.Snapshot(
        context,
        volume_id=volume.id,
        volume_size=volume.size,
        user_id=USER,
        project_id=PROJECT,
        status="creating",
        display_name="before the upgrade",
        display_description="",
        metadata={},
        use_quota=True,
    )
    made.create()
    volume_utils.notify_about_snapshot_usage(context, made, "create.start")
    recording.wait(2)
    made.status = "available"
    made.save()
    volume_utils.notify_about_snapshot_usage(context, made, "create.end")
    recording.wait(3600)
    volume_utils.notify_about_snapshot_usage(context, made, "delete.start")
    made.destroy()
    volume_utils.notify_about_snapshot_usage(context, made, "delete.end")


def backup(context, volume, recording):
    """A backup that succeeds, and one that fails."""
    from cinder import objects
    from cinder.volume import volume_utils

    for number, outcome in enumerate(("available", "error")):
        made = objects.Backup(
            context,
            volume_id=volume.id,
            user_id=USER,
            project_id=PROJECT,
            host="block1.example.org",
            availability_zone="nova",
            display_name=f"backup {number}",
            size=volume.size,
            service="cinder.backup.drivers.ceph.CephBackupDriver",
            status="creating",
        )
        made.create()
        volume_utils.notify_about_backup_usage(context, made, "create.start")
        recording.wait(30)
        made.status = outcome
        if outcome == "error":
            made.fail_reason = "Backup failed: [Errno 28] No space left on device"
        made.save()
        volume_utils.notify_about_backup_usage(context, made, "create.end")


def other_objects(context, volume):
    """A group of volumes, the capacity of a store and the hourly usage."""
    from cinder import objects
    from cinder.volume import volume_utils
    from oslo_utils import timeutils

    group = objects.Group(
        context,
        user_id=USER,
        project_id=PROJECT,
        host=HOST,
        availability_zone="nova",
        name="databases",
        group_type_id="5f6e7d8c-9b0a-4192-8384-75665748394a",
        status="available",
    )
    group.create()
    volume_utils.notify_about_group_usage(context, group, "create.end")
    capacity = {
        "name_to_id": HOST,
        "total": 1024.0,
        "free": 512.5,
        "allocated": 40,
        "provisioned": 40,
        "virtual_free": 512.5,
        "reported_at": timeutils.utcnow(),
    }
    volume_utils.notify_about_capacity_usage(context, capacity, "pool")
    period = {
        "audit_period_beginning": "2026-11-25 10:00:00",
        "audit_period_ending": "2026-11-25 11:00:00",
    }
    volume_utils.notify_about_volume_usage(context, volume, "exists", extra_usage_info=period)


def delete_volume(context, volume):
    """A volume is deleted."""
    from cinder.volume import volume_utils

    volume.status = "deleting"
    volume.save()
    volume_utils.notify_about_volume_usage(context, volume, "delete.start", host=HOST)
    volume.destroy()
    volume_utils.notify_about_volume_usage(context, volume, "delete.end", host=HOST)


def main():
    (output,) = sys.argv[1:]
    sys.argv = ["cinder-volume"]
    recording = recorder.Recorder("cinder", "block1.example.org", 27182, "2026-11-25T10:00:00Z")
    start(recording)
    context = user_context()
    volume = volume_from_image(context, recording)
    snapshot(context, volume, recording)
    backup(context, volume, recording)
    other_objects(context, volume)
    delete_volume(context, volume)
    recording.write(output)
    recording.close()


if __name__ == "__main__":
    main()
