# A publisher of notifications, as every OpenStack service has one. This file continues
# oslo_common.py.
#
# Each line of its input is one notification. It answers "done" when oslo.messaging returns, even if
# oslo.messaging has lost the notification.

# oslo.messaging names the connection after the program.
sys.argv[0] = "glance-api"
NOTIFIER = notifier(retry=0)
answer("ready")
for line in sys.stdin:
    notification = json.loads(line)
    send = getattr(NOTIFIER, notification["priority"])
    send({}, notification["event_type"], notification["payload"])
    answer("done")
