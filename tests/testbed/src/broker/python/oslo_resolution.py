"""Resolves configuration files as OpenStack does, without a connection.

The argument is the edition of OpenStack: `glance-2013` (Glance's own strategies), `glance-2014` (Glance
2014.1 over oslo.messaging 2.5.0), or a version of oslo.messaging. Each request names the files. The
answer holds the destination, or the error of OpenStack's own code.

The code here catches oslo.messaging in the moment in which it would open a connection, and reports its
arguments. It decides nothing by itself, except for `glance-2013`, whose options it declares as Glance
2013.2 does (glance/notifier, Apache License 2.0).
"""

import collections
import collections.abc
import inspect
import json
import logging
import os
import sys

ARGUMENT = json.loads(sys.argv[1])
EDITION = ARGUMENT["edition"]
VERSION = {"glance-2013": "18.3.1", "glance-2014": "2.5.0"}.get(EDITION, EDITION)
if ARGUMENT["directory"]:
    sys.path.insert(0, ARGUMENT["directory"])
# The old versions were written for the Python of their time.
collections.Mapping = collections.abc.Mapping
inspect.getargspec = inspect.getfullargspec
logging.disable(logging.CRITICAL)

from kombu.utils.url import parse_url
from oslo_config import cfg
from oslo_log import log
import oslo_messaging
from oslo_messaging import transport
from oslo_messaging._drivers import impl_rabbit
from oslo_messaging.notify import notifier

assert not ARGUMENT["directory"] or oslo_messaging.__file__.startswith(ARGUMENT["directory"])

# Glance's aliases for the modules of its copy of oslo-incubator.
ALIASES = {
    "glance.openstack.common.rpc.impl_kombu": "rabbit",
    "glance.openstack.common.rpc.impl_qpid": "qpid",
    "glance.openstack.common.rpc.impl_zmq": "zmq",
}
DRIVERS = {"messaging", "messagingv2", "log", "noop", "routing", "test"}
GLANCE = [
    cfg.StrOpt("default_publisher_id", default="image.localhost"),
    cfg.ListOpt("disabled_notifications", default=[]),
]
GLANCE_2013 = [
    cfg.StrOpt("rabbit_host", default="localhost"),
    cfg.IntOpt("rabbit_port", default=5672),
    cfg.BoolOpt("rabbit_use_ssl", default=False),
    cfg.StrOpt("rabbit_userid", default="guest"),
    cfg.StrOpt("rabbit_password", default="guest"),
    cfg.StrOpt("rabbit_virtual_host", default="/"),
    cfg.StrOpt("rabbit_notification_exchange", default="glance"),
    cfg.StrOpt("rabbit_notification_topic", default="notifications"),
    cfg.BoolOpt("rabbit_durable_queues", default=False),
    cfg.StrOpt("qpid_notification_exchange", default="glance"),
    cfg.StrOpt("qpid_notification_topic", default="notifications"),
    cfg.StrOpt("qpid_hostname", default="localhost"),
    cfg.StrOpt("qpid_port", default="5672"),
    cfg.StrOpt("qpid_username", default=""),
    cfg.StrOpt("qpid_password", default=""),
    cfg.StrOpt("qpid_sasl_mechanisms", default=""),
    cfg.StrOpt("qpid_protocol", default="tcp"),
]
STRATEGY_2013 = cfg.StrOpt("notifier_strategy", default="default")


class Captured(Exception):
    """Carries the arguments of a call that must not happen."""


def capture(*args, **kwargs):
    raise Captured(args, kwargs)


def configuration(files):
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf.register_opts(GLANCE)
    arguments = []
    for file in files:
        arguments += ["--config-dir" if os.path.isdir(file) else "--config-file", file]
    conf(arguments, project="glance", default_config_files=[], default_config_dirs=[], use_env=False)
    return conf


def log_file(conf):
    path = log._get_log_file_path(conf, "glance-api")
    return {"strategy": "log", "log_file": path and os.path.abspath(path)}


def host_port(host, port):
    host = host.strip("[]")
    return "%s:%d" % ("[%s]" % host if ":" in host else host, int(port))


def resolve_2013(conf):
    """Reads what the constructors of Glance's strategies read."""
    conf.register_opts(GLANCE_2013)
    conf.register_opt(STRATEGY_2013)
    strategy = {"default": "noop", "logging": "log"}.get(conf.notifier_strategy, conf.notifier_strategy)
    if strategy == "noop":
        return {"strategy": "noop"}
    if strategy == "log":
        return dict(log_file(conf), publisher_id="the host name")
    common = {"strategy": strategy, "publisher_id": "the host name"}
    if strategy == "rabbit":
        return dict(
            common,
            hosts=[host_port(conf.rabbit_host, conf.rabbit_port)],
            user=conf.rabbit_userid,
            password=conf.rabbit_password,
            virtual_host=conf.rabbit_virtual_host,
            exchange=conf.rabbit_notification_exchange,
            topics=[conf.rabbit_notification_topic],
            tls=conf.rabbit_use_ssl,
            durable=conf.rabbit_durable_queues,
        )
    return dict(
        common,
        hosts=[host_port(conf.qpid_hostname, conf.qpid_port)],
        user=conf.qpid_username or None,
        password=conf.qpid_password or None,
        exchange=conf.qpid_notification_exchange,
        topics=[conf.qpid_notification_topic],
        tls=conf.qpid_protocol == "ssl",
        sasl_mechanisms=conf.qpid_sasl_mechanisms.split() or None,
    )


def open_transport(conf, url=None):
    """Runs oslo.messaging up to the moment in which it loads the driver."""
    function = getattr(oslo_messaging, "get_notification_transport", oslo_messaging.get_transport
                       if hasattr(oslo_messaging, "get_transport") else None)
    keywords = {"aliases": ALIASES} if "aliases" in inspect.signature(function).parameters else {}
    try:
        function(conf, url, **keywords)
    except Captured as captured:
        args, kwargs = captured.args
        return args[1], kwargs["invoke_args"], kwargs["invoke_kwds"]
    raise AssertionError("oslo.messaging loaded no driver")


def resolve(conf):
    """Runs Glance's notifier."""
    drivers = None
    url = None
    if EDITION == "glance-2014":
        conf.register_opt(STRATEGY_2013)
        strategy = conf.notifier_strategy
        if strategy != "default":
            drivers = {"logging": "log", "rabbit": "messaging", "qpid": "messaging"}.get(strategy, strategy)
            open_transport(conf)
            if not conf.transport_url and strategy in ("rabbit", "qpid"):
                url = strategy + "://"
    if hasattr(notifier, "get_notification_transport"):
        conf.register_opts(notifier._notifier_opts, group="oslo_messaging_notifications")
        options = conf.oslo_messaging_notifications
        names, topics = options.driver, options.topics
    else:
        conf.register_opts(notifier._notifier_opts)
        names, topics = conf.notification_driver, conf.notification_topics
    names = [drivers] if drivers else names
    names = sorted(set(names) & DRIVERS - {"noop"})
    if not names:
        return {"strategy": "noop"}
    if len(names) == 1 and names[0] in ("routing", "test"):
        return {"strategy": names[0]}
    if names == ["log"]:
        return dict(log_file(conf), publisher_id=conf.default_publisher_id)
    name, args, keywords = open_transport(conf, url)
    answer = {"rabbit": rabbit, "kombu": rabbit, "qpid": qpid, "amqp": amqp}[name](*args, **keywords)
    if len(names) > 1:
        answer["strategy"] = " and ".join(names)
    return dict(
        answer,
        envelope="oslo-2.0" if "messagingv2" in names else "bare",
        exchange=keywords["default_exchange"],
        topics=topics,
        publisher_id=conf.default_publisher_id,
    )


def rabbit(conf, url, **keywords):
    driver = impl_rabbit.RabbitDriver(conf, url, **keywords)
    connection = impl_rabbit.Connection.__new__(impl_rabbit.Connection)
    try:
        connection.__init__(driver.conf, url, "send")
        raise AssertionError("oslo.messaging opened a connection")
    except Captured as captured:
        (address, *_), arguments = captured.args
    brokers = [parse_url(broker) for broker in address.split(";")]
    ssl = arguments["ssl"]
    files = ssl if isinstance(ssl, dict) else {}
    quorum = getattr(connection, "rabbit_quorum_queue", False)
    external = arguments["login_method"] == "EXTERNAL"
    return {
        "strategy": "rabbit",
        "hosts": sorted(host_port(broker["hostname"], broker["port"]) for broker in brokers),
        # The client logs in as guest if it has no user.
        "user": None if external else brokers[0]["userid"] or "guest",
        "password": None if external else brokers[0]["password"] or "guest",
        "virtual_host": brokers[0]["virtual_host"] or "/",
        "tls": bool(ssl),
        "ca_file": files.get("ca_certs"),
        "cert_file": files.get("certfile"),
        "key_file": files.get("keyfile"),
        "durable": connection.amqp_durable_queues or quorum,
        "quorum": quorum,
    }


def qpid(conf, url, **keywords):
    from oslo_messaging._drivers import impl_qpid

    impl_qpid.Connection.reconnect = lambda self: capture(self)
    impl_qpid.qpid_messaging = True
    driver = impl_qpid.QpidDriver(conf, url, **keywords)
    try:
        impl_qpid.Connection(driver.conf, url, "send")
        raise AssertionError("oslo.messaging opened a connection")
    except Captured as captured:
        connection = captured.args[0][0]
    options = conf.oslo_messaging_qpid
    brokers = connection.brokers_params
    return {
        "strategy": "qpid",
        "hosts": sorted(host_port(*broker["host"].rsplit(":", 1)) for broker in brokers),
        "user": brokers[0]["username"] or None,
        "password": brokers[0]["password"] or None,
        "tls": options.qpid_protocol == "ssl",
        "sasl_mechanisms": options.qpid_sasl_mechanisms.split() or None,
    }


def amqp(conf, url, **keywords):
    from oslo_messaging._drivers.amqp1_driver import opts

    conf.register_opts(opts.amqp1_opts, group="oslo_messaging_amqp")
    options = conf.oslo_messaging_amqp
    files = options if options.ssl else None
    first = url.hosts[0] if url.hosts else None
    return {
        "strategy": "qpid",
        "hosts": sorted(host_port(host.hostname, host.port or 5672) for host in url.hosts),
        "user": first and first.username or options.username or None,
        "password": first and first.password or options.password or None,
        "virtual_host": url.virtual_host or None,
        "tls": bool(options.ssl),
        "ca_file": files and files.ssl_ca_file or None,
        "cert_file": files and files.ssl_cert_file or None,
        "key_file": files and files.ssl_key_file or None,
        "sasl_mechanisms": options.sasl_mechanisms.split() or None,
    }


transport.driver.DriverManager = capture
impl_rabbit.kombu.connection.Connection = capture
oslo_messaging.set_transport_defaults("glance")

if EDITION != "glance-2013":
    assert VERSION in (ARGUMENT["directory"] or "18.3.1")
for line in sys.stdin:
    try:
        conf = configuration(json.loads(line))
        reply = resolve_2013(conf) if EDITION == "glance-2013" else resolve(conf)
    except Exception as error:  # the error is the answer
        reply = {"error": "%s: %s" % (type(error).__name__, error)}
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
