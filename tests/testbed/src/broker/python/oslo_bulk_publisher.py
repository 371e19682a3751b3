# A publisher of many notifications, as every OpenStack service has one. This file continues
# oslo_common.py.
#
# It publishes COUNT notifications as fast as oslo.messaging does, and waits for each confirm for as long as
# it takes. After each it answers the number, negative if oslo.messaging has logged that it lost it.

import uuid


class LossRecorder(logging.Handler):
    lost = False

    def emit(self, record):
        if record.levelno >= logging.ERROR and "Could not send notification" in record.getMessage():
            self.lost = True


RECORDER = LossRecorder()
logging.getLogger("oslo_messaging.notify.messaging").addHandler(RECORDER)
NOTIFIER = notifier(retry=-1)
SENDERS = [NOTIFIER.info, NOTIFIER.warn, NOTIFIER.error]
answer("ready")
for number in range(1, int(ARGUMENT["count"]) + 1):
    RECORDER.lost = False
    payload = {
        "id": str(uuid.UUID(int=number, version=4)),
        "name": "image-%d" % number,
        "owner": "c0ffee00c0ffee00c0ffee00c0ffee00",
        "status": "active",
        "size": number * 1024,
        "tags": ["é", "\u0007", "x" * (number % 300)],
        "locations": [{"url": "https://glance:hunter2@store.example.org/%d" % number}],
    }
    SENDERS[number % 3]({}, "image.update", payload)
    answer(-number if RECORDER.lost else number)
answer("end")
