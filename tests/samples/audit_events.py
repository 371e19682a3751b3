"""Lets keystonemiddleware's audit filter notify the requests to Glance's API.

    audit_events.py OUTPUT

The filter stands before Glance's own application, as an operator configures it. So the notifications
of both arrive interleaved, as they do in production.
"""

import json
import sys

import recorder
from glance_service import ADMIN, MEMBER, OTHER, Glance

ADDRESS = "http://image.example.org:9292"

# Keystone's catalogue in the form that the filter `auth_token` hands on.
CATALOG = [
    {
        "type": "image",
        "name": "glance",
        "endpoints": [
            {
                "id": "7a1d3f5b9c2e4a6f8b0d1c3e5f7a9b2d",
                "region": "RegionOne",
                "publicURL": ADDRESS,
                "internalURL": "http://glance.internal.example.org:9292",
                "adminURL": ADDRESS,
            }
        ],
        "endpoints_links": [],
    },
    {"type": "volumev3", "name": "cinder", "endpoints": [], "endpoints_links": []},
]


def audited_requests(glance):
    """The requests of the image API, with their successes and failures."""
    image = glance.create(
        member("alice"), name="audited", disk_format="raw", container_format="bare"
    )
    path = f"/v2/images/{image}"
    glance.upload(image, b"audited data", member("alice"))
    glance.request("GET", "/v2/images?limit=20&sort_key=created_at", member("alice"))
    glance.patch(image, member("alice"), name="audited-2")
    glance.request("GET", f"{path}/file", member("alice"), User_Agent="python-glanceclient")
    # A proxy in front of Glance names the client. The filter believes the header.
    glance.request("GET", path, member("alice"), X_Forwarded_For="198.51.100.7")
    glance.request(
        "POST", f"{path}/members", member("alice"), body={"member": OTHER["X-Project-Id"]}
    )
    glance.request(
        "PUT",
        f"{path}/members/{OTHER['X-Project-Id']}",
        member("bob"),
        body={"status": "accepted"},
        X_Openstack_Request_Id="req-5f0c1d2e-3b4a-4978-8695-a4b3c2d1e0f9",
    )
    glance.request("POST", f"{path}/actions/deactivate", member("admin"))
    glance.request("DELETE", path, member("bob"), expect=(403,))
    glance.request("DELETE", f"/v2/images/{MISSING}", member("alice"), expect=(404,))
    glance.request("GET", path, nobody(), expect=(401,))
    glance.request("DELETE", path, member("alice"))


def member(name):
    """Returns the headers of a user whose token holds a catalogue."""
    headers = {"alice": MEMBER, "bob": OTHER, "admin": ADMIN}[name]
    return {
        **headers,
        "User-Agent": "openstacksdk/4.22.0",
        "X-Service-Catalog": json.dumps(CATALOG),
    }


def nobody():
    """Returns the headers of a request whose token is not valid."""
    return {"X-Identity-Status": "Invalid", "User-Agent": "curl/8.15.0"}


# No image has this id.
MISSING = "5a3ad1fc-4c6b-4c3a-8a0e-2d5a2cb3a00f"


def main():
    (output,) = sys.argv[1:]
    recording = recorder.Recorder("audit", "glance1.example.org", 21646, "2026-11-23T09:30:00Z")
    # pycadf installs the map beside its code.
    audit_map = f"{sys.prefix}/etc/pycadf/glance_api_audit_map.conf"
    glance = Glance(recording, filters="http_proxy_to_wsgi request_id audit", audit_map=audit_map)
    audited_requests(glance)
    recording.write(output)
    recording.close()


if __name__ == "__main__":
    main()
