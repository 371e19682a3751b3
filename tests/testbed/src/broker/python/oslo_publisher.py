# Publishes notifications with oslo.messaging, as an OpenStack service does. Follows oslo_common.py.
#
# Each line it reads is one notification; it answers when oslo.messaging says that it is done, which it
# also says of what it lost.

oslo_messaging.set_transport_defaults(ASKED["exchange"])
TRANSPORT = oslo_messaging.get_notification_transport(
    configuration(ASKED["options"]), url=ASKED["url"]
)
NOTIFIER = oslo_messaging.Notifier(
    TRANSPORT,
    publisher_id=ASKED["publisher_id"],
    driver=ASKED["driver"],
    topics=ASKED["topics"],
    retry=0,
)
answer("ready")
for line in sys.stdin:
    notification = json.loads(line)
    send = getattr(NOTIFIER, notification["priority"])
    send({}, notification["event_type"], notification["payload"])
    answer("done")
