"""An AMQP 1.0 peer on Qpid Proton, with queues, topics, and every outcome and fault on demand.

The argument holds the port, the queues and the bindings. The peer reads requests from standard
input, one JSON value per line. It answers each with `done` or `failed`. Before the `done` of a
request for messages, it writes one line per message.
"""

import collections
import os
import socket
import threading

from proton import Condition, Data, Delivery, Endpoint, Terminus, symbol
from proton._handlers import EndpointStateHandler, IOHandler
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector

# The text of every error of the peer. It holds control sequences that harm a terminal.
ERROR_TEXT = "on demand\x1b]52;c;aGk=\x07\x1b[31m\x9b31m\u202e\u2028"


class Peer(MessagingHandler):
    def __init__(self, options):
        super().__init__(prefetch=0, auto_accept=False)
        self.options = options
        self.queues = collections.OrderedDict((name, []) for name in options["queues"])
        self.bindings = options["bindings"]
        self.journal = open(options["journal"], "a+")
        self.read_journal()
        self.faults = []
        self.rejected_ids = set()
        self.rejection = "amqp:not-allowed"
        self.withheld = []
        self.links = {}
        self.connections = set()
        self.attached = []
        self.opened = None
        self.deliveries = 0
        self.not_silent = threading.Event()
        self.not_silent.set()
        self.injector = EventInjector()
        for handler in self.handlers:
            if isinstance(handler, EndpointStateHandler):
                # Proton answers every attach after `on_link_opening`.
                answer_attach = handler.on_link_remote_open
                handler.on_link_remote_open = (
                    lambda event: self.withholds_attach(event.link) or answer_attach(event)
                )

    # Events of clients.

    def on_start(self, event):
        event.container.selectable(self.injector)
        self.listener = event.container.listen("127.0.0.1:%d" % self.options["port"])
        threading.Thread(target=self.read_requests, daemon=True).start()
        answer({"done": "listening"})

    def on_connection_opening(self, event):
        connection = event.connection
        self.connections.add(connection)
        self.opened = {
            "container": connection.remote_container,
            "hostname": connection.remote_hostname,
            "user": event.transport.user,
        }
        product = self.options["product"]
        if product:
            connection.properties = {
                symbol("product"): product["name"],
                symbol("version"): product["version"],
            }

    def on_link_opening(self, event):
        link = event.link
        address = link.remote_target.address
        # Reading consumes the list of capabilities, so read it once.
        capabilities = self.capabilities(link.remote_target)
        properties = self.properties(link.remote_target)
        self.attached.append(
            {"address": address, "capabilities": capabilities, "properties": properties}
        )
        if not self.exists(address):
            if self.options["create"]:
                self.queues[address] = []
            else:
                link.target.type = Terminus.UNSPECIFIED
                link.open()
                link.condition = Condition("amqp:not-found", "Node not found: %s" % address)
                link.close()
                return
        link.target.copy(link.remote_target)
        link.source.copy(link.remote_source)
        if address in self.options["transient"]:
            self.offer(link.target, [name for name in capabilities if name != "durable"])
        self.links.setdefault(address, set()).add(link)

    def on_link_opened(self, event):
        event.link.flow(self.options["credit"])

    def on_message(self, event):
        self.deliveries += 1
        event.link.flow(1)
        link, delivery, message = event.link, event.delivery, event.message
        address = link.remote_target.address
        fault = self.next_fault(address)
        kind = fault and fault["kind"]
        if str(message.id) in self.rejected_ids:
            kind = "reject"
        if kind in (None, "hold") and not self.routes(address, message):
            kind = "release"
        if kind is None:
            self.accept_message(delivery, address, message)
        elif kind == "hold":
            self.withheld.append((delivery, address, message))
        elif kind == "reject":
            if self.rejection:
                delivery.local.condition = Condition(self.rejection, "rejected " + ERROR_TEXT)
            self.settle(delivery, Delivery.REJECTED)
        elif kind == "release":
            self.settle(delivery, Delivery.RELEASED)
        elif kind == "modify":
            delivery.local.failed = True
            self.settle(delivery, Delivery.MODIFIED)
        elif kind == "detach":
            self.end(link, "amqp:link:detach-forced")
        elif kind == "suspend":
            link.detach()
        elif kind == "end":
            self.end(link.session, "amqp:internal-error")
        elif kind == "close":
            self.end(link.connection, "amqp:connection:forced")
        elif kind == "drop":
            self.drop(event.transport)
        elif kind == "silent":
            self.not_silent.clear()
            self.not_silent.wait()

    def on_link_error(self, event):
        print("link", event.link.remote_condition, file=sys.stderr)

    def on_session_error(self, event):
        print("session", event.session.remote_condition, file=sys.stderr)

    def on_link_final(self, event):
        for links in self.links.values():
            links.discard(event.link)

    def on_transport_closed(self, event):
        self.connections.discard(event.connection)
        self.withheld = [delivery for delivery in self.withheld
                         if delivery[0].connection != event.connection]

    # Outcomes and faults.

    def withholds_attach(self, link):
        return link.remote_target.address in self.options["unattachable"]

    def exists(self, address):
        return address in self.queues or any(
            address.split("/")[0] == exchange for exchange, _, _ in self.bindings
        )

    def routes(self, address, message):
        """Returns the queues that receive a message."""
        if address in self.queues:
            return [address]
        exchange, _, key = address.partition("/")
        key = key or message.subject or ""
        return [
            queue
            for source, pattern, queue in self.bindings
            if source == exchange and matches(pattern, key)
        ]

    def accept_message(self, delivery, address, message):
        for queue in self.routes(address, message):
            description = describe(message)
            self.queues.setdefault(queue, []).append(description)
            # Accepted messages survive the process.
            self.journal.write(json.dumps([queue, description]) + "\n")
        self.journal.flush()
        self.settle(delivery, Delivery.ACCEPTED)

    def settle(self, delivery, outcome):
        delivery.update(outcome)
        delivery.settle()

    def end(self, endpoint, condition):
        endpoint.condition = Condition(condition, ERROR_TEXT)
        endpoint.close()

    def drop(self, transport):
        handle = os.dup(transport._selectable.fileno())
        with socket.socket(fileno=handle) as dropped:
            dropped.shutdown(socket.SHUT_RDWR)

    def next_fault(self, address):
        """Returns the fault for the current delivery, or None."""
        for fault in self.faults:
            if fault["address"] not in (None, address):
                continue
            if fault["after"] > 0:
                fault["after"] -= 1
                continue
            if fault["times"] is not None:
                fault["times"] -= 1
                if fault["times"] == 0:
                    self.faults.remove(fault)
            return fault
        return None

    def read_journal(self):
        self.journal.seek(0)
        for line in self.journal:
            # A kill can truncate the last line. Then the peer did not accept its message.
            if line.endswith("\n"):
                queue, message = json.loads(line)
                self.queues.setdefault(queue, []).append(message)
        self.journal.seek(0, os.SEEK_END)

    def capabilities(self, terminus):
        capabilities = terminus.capabilities
        capabilities.rewind()
        found = []
        while capabilities.next() is not None:
            value = capabilities.get_object()
            found += [str(item) for item in getattr(value, "elements", [value])]
        return found

    def properties(self, terminus):
        properties = terminus.properties
        properties.rewind()
        if properties.next() is None:
            return {}
        return {str(key): value for key, value in properties.get_object().items()}

    def offer(self, terminus, names):
        """Sets the capabilities of a terminus."""
        terminus.capabilities.clear()
        terminus.capabilities.put_array(False, Data.SYMBOL)
        terminus.capabilities.enter()
        for name in names:
            terminus.capabilities.put_symbol(name)
        terminus.capabilities.exit()

    # Requests of the test.

    def read_requests(self):
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "end_silence":
                self.not_silent.set()
                answer({"done": None})
            else:
                self.injector.trigger(ApplicationEvent("request", subject=request))
        os._exit(0)

    def on_request(self, event):
        request = event.subject
        try:
            answer({"done": getattr(self, "do_" + request["do"])(request)})
        except Exception as error:
            answer({"failed": "%s: %s" % (type(error).__name__, error)})

    def do_inject(self, request):
        self.faults.append(
            {key: request.get(key) for key in ("kind", "after", "times", "address")}
        )

    def do_clear_faults(self, _):
        self.faults.clear()

    def do_reject_with(self, request):
        self.rejection = request["condition"]

    def do_reject_id(self, request):
        self.rejected_ids.add(request["id"])

    def do_settle_withheld(self, request):
        withheld, self.withheld = self.withheld, []
        for delivery, address, message in withheld:
            if request["outcome"] == "accept":
                self.accept_message(delivery, address, message)
            else:
                self.settle(delivery, Delivery.RELEASED)
        return len(withheld)

    def do_detach(self, request):
        for link in self.links.get(request["address"], ()):
            self.end(link, "amqp:link:detach-forced")

    def do_delete_queue(self, request):
        del self.queues[request["queue"]]
        for link in self.links.pop(request["queue"], ()):
            self.end(link, "amqp:resource-deleted")

    def do_messages(self, request):
        messages = self.queues.get(request["queue"], [])
        for message in messages:
            answer({"message": message})
        return len(messages)

    def do_state(self, _):
        return {
            "connections": len(self.connections),
            "opened": self.opened,
            "attached": self.attached,
            "deliveries": self.deliveries,
            "links": sum(
                not link.state & Endpoint.REMOTE_CLOSED
                for links in self.links.values()
                for link in links
            ),
            "withheld": len(self.withheld),
            "queues": {name: len(messages) for name, messages in self.queues.items()},
        }


def matches(pattern, key):
    """Returns whether the pattern of a topic matches a routing key."""
    if pattern.endswith("#"):
        return key.startswith(pattern[:-1])
    return pattern == key


class IgnoreExpiredTimers(IOHandler):
    """Works around Proton 0.37, which still reads the timer of a connection that has just ended."""

    def on_selectable_expired(self, event):
        if event.selectable._transport is not None:
            super().on_selectable_expired(event)


container = Container(Peer(json.loads(sys.argv[1])))
container.global_handler = IgnoreExpiredTimers()
container.run()
