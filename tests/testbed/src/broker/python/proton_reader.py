"""A reader that takes a number of messages from a broker and writes one line for each."""

from proton.handlers import MessagingHandler
from proton.reactor import Container


class Reader(MessagingHandler):
    def __init__(self, options):
        super().__init__(prefetch=0)
        self.options = options
        self.left = options["count"]

    def on_start(self, event):
        connection = event.container.connect(
            "127.0.0.1:%d" % self.options["port"],
            user="guest",
            password="guest",
            sasl_enabled=True,
            allowed_mechs="PLAIN",
            allow_insecure_mechs=True,
            virtual_host=self.options["hostname"],
            reconnect=False,
            heartbeat=30,
        )
        receiver = event.container.create_receiver(connection, self.options["address"])
        # The credit equals the number of messages, so the broker sends no further ones.
        receiver.flow(self.left)

    def on_message(self, event):
        message = describe(event.message)
        if not self.options["bodies"]:
            message["body"] = ""
        answer({"message": message})
        self.left -= 1
        if self.left == 0:
            self.accept(event.delivery)
            event.connection.close()

    def on_transport_error(self, event):
        answer({"failed": str(event.transport.condition)})
        event.container.stop()

    def on_link_error(self, event):
        answer({"failed": str(event.link.remote_condition)})
        event.connection.close()

    def on_session_error(self, event):
        answer({"failed": str(event.session.remote_condition)})
        event.connection.close()


reader = Reader(json.loads(sys.argv[1]))
Container(reader).run()
answer({"done": reader.left})
