"""Lets Nova's own code notify what happens to servers, in the old and in the versioned form.

    nova_events.py OUTPUT

No compute service runs here. The functions below save Nova's objects in Nova's SQLite databases and
call Nova's functions for notifications in the order in which the compute manager calls them.
"""

import sys

import recorder

OPTIONS = """
[database]
connection = sqlite:///{directory}/nova.sqlite
[api_database]
connection = sqlite:///{directory}/nova_api.sqlite
[oslo_concurrency]
lock_path = {directory}/locks
[glance]
api_servers = http://image.example.org:9292
[notifications]
notification_format = both
notify_on_state_change = vm_and_task_state
default_level = INFO
bdms_in_notifications = true
"""

# The recorder, whose clock `save` moves.
RECORDING = None

HOST = "compute1.example.org"
PROJECT = "b7a1c5e4d3f24a6f9e8d7c6b5a493827"
USER = "6d1b0c9f2a7e4f3b8c5d0e9a1b2c3d4e"
SERVER = "4f0e2d1c-3b5a-4968-8774-65f3e2d1c0b9"
IMAGE = "1b3c5d7e-9f10-4a2b-8c4d-6e8f0a1b2c3d"
SNAPSHOT = "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d"
VOLUME = "c2b1a0f9-e8d7-4c6b-8a59-4837261504f3"


def start(recording):
    """Starts Nova's libraries as the service nova-compute does."""
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")

    import nova.conf
    from nova import config, objects
    from oslo_log import log

    configuration = recording.configuration(more=OPTIONS.format(directory=recording.directory))
    for database in ("api_db", "db"):
        recording.run("nova-manage", "--config-file", configuration, database, "sync")
    config.parse_args(["nova-compute"], default_config_files=[str(configuration)])
    log.setup(nova.conf.CONF, "nova")
    objects.register_all()


def user_context():
    """Returns the context of a user's request, with the token that oslo.messaging must redact."""
    from nova import context

    catalog = [
        {
            "type": "image",
            "name": "glance",
            "endpoints": [{"region": "RegionOne", "publicURL": "http://image.example.org:9292"}],
        },
        {"type": "identity", "name": "keystone", "endpoints": []},
    ]
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
        service_catalog=catalog,
        request_id="req-0c9f2a7e-4f3b-4c5d-8e9a-1b2c3d4e5f60",
        global_request_id="req-11111111-2222-4333-8444-555555555555",
    )


def flavor(context):
    """Creates a flavor, which Nova notifies."""
    from nova import objects

    made = objects.Flavor(
        context,
        name="m1.small",
        flavorid="2",
        memory_mb=2048,
        vcpus=1,
        root_gb=20,
        ephemeral_gb=0,
        swap=0,
        rxtx_factor=1.0,
        vcpu_weight=0,
        disabled=False,
        is_public=True,
        extra_specs={"hw:cpu_policy": "shared", "hw_rng:allowed": "True"},
        description="",
    )
    made.create()
    return made


def keypair(context):
    """Imports a key pair, as the API does."""
    from nova import objects
    from nova.compute import utils as compute_utils

    key = objects.KeyPair(
        context,
        name="alice-key",
        user_id=USER,
        fingerprint="1e:2c:9b:56:79:4b:45:77:f9:ca:7a:98:2c:b0:d5:3c",
        public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample alice@example.org",
        type="ssh",
    )
    key.create()
    compute_utils.notify_about_keypair_action(context, key, "import", "end")
    return key


def network_info():
    """Returns one port with an IPv4 and an IPv6 address."""
    from nova.network import model

    def subnet(cidr, address, version):
        return model.Subnet(
            cidr=cidr, version=version, ips=[model.FixedIP(address=address, version=version)]
        )

    subnets = [
        subnet("192.0.2.0/24", "192.0.2.23", 4),
        subnet("2001:db8::/64", "2001:db8::f816:3eff:fe12:3456", 6),
    ]
    network = model.Network(
        id="a1b2c3d4-0000-4000-8000-000000000001", label="private", subnets=subnets
    )
    port = model.VIF(
        id="ce531f90-199f-48c0-816c-13e38010b442",
        address="fa:16:3e:12:34:56",
        network=network,
        type="ovs",
        devname="tapce531f90-19",
        active=True,
    )
    return model.NetworkInfo([port])


def server(context, flavor, key, **changes):
    """Saves a new server in the database, as the API does."""
    from nova import objects

    made = objects.Instance(
        context,
        **{
            "uuid": SERVER,
            "user_id": USER,
            "project_id": PROJECT,
            "reservation_id": "r-4g7k2m9p",
            "display_name": "web-1 \U0001f427 \u201eÜber\u201c",
            "display_description": "web-1",
            "hostname": "web-1",
            "image_ref": IMAGE,
            "kernel_id": "",
            "ramdisk_id": "",
            "key_name": key.name,
            "keypairs": objects.KeyPairList(objects=[key]),
            "flavor": flavor,
            "instance_type_id": flavor.id,
            "memory_mb": flavor.memory_mb,
            "vcpus": flavor.vcpus,
            "root_gb": flavor.root_gb,
            "ephemeral_gb": flavor.ephemeral_gb,
            "availability_zone": "nova",
            "vm_state": "building",
            "task_state": None,
            "power_state": 0,
            "progress": 0,
            "locked": False,
            "auto_disk_config": False,
            "metadata": {"role": "web", "admin_pass": "planted-password"},
            "system_metadata": {
                "image_base_image_ref": IMAGE,
                "image_container_format": "bare",
                "image_disk_format": "qcow2",
                "image_min_disk": "20",
                "image_min_ram": "0",
                "image_os_distro": "ubuntu",
            },
            **changes,
        },
    )
    made.create()
    made.keypairs = objects.KeyPairList(objects=[key])
    made.tags = objects.TagList(objects=[])
    made.info_cache.network_info = network_info()
    made.info_cache.save()
    return made


def create_server(context, server):
    """A server is created."""
    from nova import rpc
    from nova.compute import utils as compute_utils

    notifier = rpc.get_notifier("compute", HOST)
    image = {"image_name": "ubuntu-26.04"}
    compute_utils.notify_about_instance_usage(
        notifier, context, server, "create.start", extra_usage_info=image
    )
    compute_utils.notify_about_instance_create(context, server, HOST, phase="start", bdms=None)
    save(
        server,
        host=HOST,
        node=HOST,
        compute_id=1,
        vm_state="active",
        task_state=None,
        power_state=1,
        launched_at=now(),
    )
    compute_utils.notify_about_instance_usage(
        notifier,
        context,
        server,
        "create.end",
        network_info=network_info(),
        extra_usage_info={"message": "Success", **image},
    )
    compute_utils.notify_about_instance_create(context, server, HOST, phase="end", bdms=None)


def snapshot_server(context, server):
    """An image is made of a server. It then goes to Glance under the id `SNAPSHOT`."""
    from nova import rpc
    from nova.compute import utils as compute_utils

    notifier = rpc.get_notifier("compute", HOST)
    compute_utils.notify_about_instance_usage(notifier, context, server, "snapshot.end")
    compute_utils.notify_about_instance_snapshot(context, server, HOST, "end", SNAPSHOT)


def other_actions(context, server):
    """A volume, a rename and the hourly usage."""
    from nova import rpc
    from nova.compute import utils as compute_utils

    notifier = rpc.get_notifier("compute", HOST)
    compute_utils.notify_about_volume_attach_detach(
        context, server, HOST, "volume_attach", "end", VOLUME
    )
    save(server, display_name="web-2")
    compute_utils.notify_usage_exists(notifier, context, server, HOST, current_period=True)


def fail_server(context, server):
    """A server that no host can build: the errors of the compute manager and of the conductor."""
    from nova import exception, objects, rpc
    from nova.compute import utils as compute_utils
    from nova.scheduler import utils as scheduler_utils
    from nova.virt import hardware

    notifier = rpc.get_notifier("compute", HOST)
    image = objects.ImageMeta(id=IMAGE, properties=objects.ImageMetaProps())
    request = objects.RequestSpec.from_components(
        context, server.uuid, image, server.flavor, None, None, {}, None, "nova"
    )
    server.flavor.extra_specs["hw:cpu_policy"] = "bogus"
    try:
        hardware.numa_get_constraints(server.flavor, image)
    except exception.InvalidCPUAllocationPolicy as failure:
        compute_utils.notify_about_instance_usage(
            notifier, context, server, "create.error", fault=failure
        )
        compute_utils.notify_about_instance_create(
            context, server, HOST, phase="error", exception=failure, bdms=None
        )
        updates = {"vm_state": "error", "task_state": None}
        scheduler_utils.set_vm_state_and_notify(
            context, server.uuid, "compute_task", "build_instances", updates, failure, request
        )


def delete_server(context, server):
    """A server is deleted."""
    from nova import rpc
    from nova.compute import utils as compute_utils

    notifier = rpc.get_notifier("compute", HOST)
    compute_utils.notify_about_instance_usage(notifier, context, server, "delete.start")
    compute_utils.notify_about_instance_action(context, server, HOST, "delete", "start")
    server.terminated_at = now()
    server.destroy()
    compute_utils.notify_about_instance_usage(notifier, context, server, "delete.end")
    compute_utils.notify_about_instance_action(context, server, HOST, "delete", "end")


def other_objects(context):
    """A host aggregate, a server group, a service and the counters of a host."""
    from nova import objects
    from nova.compute import utils as compute_utils

    objects.Aggregate(context, name="ssd", metadata={"availability_zone": "az1"}).create()
    group = objects.InstanceGroup(
        context, name="spread", user_id=USER, project_id=PROJECT, policy="anti-affinity"
    )
    group.create()
    service = objects.Service(
        context, host=HOST, binary="nova-compute", topic="compute", report_count=0
    )
    service.create()
    service.disabled = True
    service.disabled_reason = "Maintenance"
    service.save()
    metrics = objects.MonitorMetricList(
        objects=[
            objects.MonitorMetric(
                name="cpu.iowait.percent", value=7, timestamp=now(), source="libvirt.LibvirtDriver"
            )
        ]
    )
    compute_utils.notify_about_metrics_update(context, HOST, "192.0.2.11", HOST, metrics)


def save(server, **changes):
    """Saves changes of a server, which Nova notifies as `compute.instance.update`."""
    RECORDING.wait(1.5)
    for name, value in changes.items():
        setattr(server, name, value)
    server.save()


def now():
    """Returns the time of the clock that stands still."""
    from oslo_utils import timeutils

    return timeutils.utcnow(with_timezone=True)


def main():
    global RECORDING
    (output,) = sys.argv[1:]
    RECORDING = recording = recorder.Recorder("nova", HOST, 31415, "2026-11-24T08:00:00Z")
    start(recording)
    context = user_context()
    small = flavor(context.elevated())
    key = keypair(context)
    made = server(context, small, key)
    create_server(context, made)
    snapshot_server(context, made)
    other_actions(context, made)
    delete_server(context, made)
    failed = server(context, small, key, uuid="0d1e2f30-4152-4637-8849-5a6b7c8d9eaf")
    fail_server(context, failed)
    other_objects(context.elevated())
    recording.write(output)
    recording.close()


if __name__ == "__main__":
    main()
