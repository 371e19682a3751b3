"""Glance's own API service in this process: WSGI application, SQLite database and file stores.

The service starts as a web server would start it, by `glance.common.wsgi_app.init_app()`. There are
two differences to production:

* Requests carry the headers that keystonemiddleware's filter `auth_token` sets, because there is no
  Keystone.
* A background task runs within the request that starts it, so that two runs give the same order.
"""

import json
import os
import sys

OPTIONS = """
[database]
connection = sqlite:///{directory}/glance.sqlite
[paste_deploy]
flavor = keystone+caching
config_file = {directory}/paste.ini
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = {directory}/fast
[archive]
filesystem_store_datadir = {directory}/archive
[os_glance_staging_store]
filesystem_store_datadir = {directory}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {directory}/tasks
[oslo_concurrency]
lock_path = {directory}/locks
[taskflow_executor]
engine_mode = serial
"""

DEFAULTS = {
    "default_publisher_id": "image.glance1",
    "enabled_backends": "fast:file, archive:file",
    "image_cache_dir": "{directory}/cache",
    "image_cache_driver": "centralized_db",
    "worker_self_reference_url": "http://glance1.example.org:9292",
    "public_endpoint": "https://image.example.org",
}

PIPELINE = """
[composite:glance-api-keystone+caching]
paste.composite_factory = glance.api:root_app_factory
/: api

[pipeline:api]
pipeline = {filters} context cache rootapp

[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app

[app:apiversions]
paste.app_factory = glance.api.versions:create_resource

[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory

[filter:cache]
paste.filter_factory = glance.api.middleware.cache:CacheFilter.factory

[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory

[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware:HTTPProxyToWSGI.factory

[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory

[filter:audit]
paste.filter_factory = keystonemiddleware.audit:filter_factory
audit_map_file = {audit_map}
"""

MEMBER = {
    "X-Identity-Status": "Confirmed",
    "X-Auth-Token": "gAAAAABfake-token-that-must-never-appear",
    "X-User-Id": "6d1b0c9f2a7e4f3b8c5d0e9a1b2c3d4e",
    "X-User-Name": "alice",
    "X-User-Domain-Id": "default",
    "X-Project-Id": "b7a1c5e4d3f24a6f9e8d7c6b5a493827",
    "X-Project-Name": "demo",
    "X-Project-Domain-Id": "default",
    "X-Roles": "member,reader",
}

ADMIN = {
    **MEMBER,
    "X-User-Id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "X-User-Name": "admin",
    "X-Project-Id": "1a2b3c4d5e6f708192a3b4c5d6e7f809",
    "X-Project-Name": "admin",
    "X-Roles": "admin,manager,member,reader",
}

OTHER = {
    **MEMBER,
    "X-User-Id": "5e4d3c2b1a0f9e8d7c6b5a4938271605",
    "X-User-Name": "bob",
    "X-Project-Id": "c0ffee00c0ffee00c0ffee00c0ffee00",
    "X-Project-Name": "other",
}


class Glance:
    """A running Glance API."""

    def __init__(self, recorder, log_format="default", filters="http_proxy_to_wsgi", audit_map=""):
        self.recorder = recorder
        self.directory = directory = recorder.directory
        for name in ("fast", "archive", "staging", "tasks", "cache", "locks"):
            (directory / name).mkdir()
        options = {name: value.format(directory=directory) for name, value in DEFAULTS.items()}
        configuration = recorder.configuration(
            log_format, OPTIONS.format(directory=directory), **options
        )
        configuration.rename(directory / "glance-api.conf")
        (directory / "paste.ini").write_text(PIPELINE.format(filters=filters, audit_map=audit_map))
        os.environ["OS_GLANCE_CONFIG_DIR"] = str(directory)
        sys.argv = ["glance-api"]
        self._create_database()
        self._run_tasks_within_requests()

        from glance.common import wsgi_app

        # A thread that looks for leftovers of an earlier run. There is none.
        wsgi_app.run_staging_cleanup = lambda: None
        self.application = wsgi_app.init_app()

    def request(self, method, path, who=MEMBER, body=None, data=None, expect=None, **headers):
        """Sends a request to the API, reads the whole response and returns it."""
        response = self.start(method, path, who, body, data, expect, **headers)
        response.body
        return response

    def start(self, method, path, who=MEMBER, body=None, data=None, expect=None, **headers):
        """Sends a request to the API and returns the response, whose body is not read yet."""
        import webob

        self.recorder.wait(2.25)
        headers = {**who, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = webob.Request.blank(
            path,
            base_url="http://image.example.org:9292",
            method=method,
            headers=headers,
            environ={"REMOTE_ADDR": "203.0.113.17"},
        )
        if body is not None:
            request.headers.setdefault("Content-Type", "application/json")
            request.body = json.dumps(body).encode()
        if data is not None:
            request.headers["Content-Type"] = "application/octet-stream"
            request.body = data
        response = request.get_response(self.application)
        expected = expect or (200, 201, 202, 204, 206)
        if response.status_int not in expected:
            raise SystemExit(f"{method} {path}: {response.status} {response.text}")
        return response

    def create(self, who=MEMBER, **image):
        """Creates an image record and returns its id."""
        return self.request("POST", "/v2/images", who, body=image).json["id"]

    def patch(self, image, who=MEMBER, **changes):
        """Replaces attributes of an image."""
        operations = [
            {"op": "replace", "path": f"/{name}", "value": value} for name, value in changes.items()
        ]
        content_type = "application/openstack-images-v2.1-json-patch"
        self.request(
            "PATCH", f"/v2/images/{image}", who, body=operations, Content_Type=content_type
        )

    def upload(self, image, data, who=MEMBER, expect=None):
        """Uploads the data of an image."""
        return self.request("PUT", f"/v2/images/{image}/file", who, data=data, expect=expect)

    def _create_database(self):
        """Creates the tables, as an operator does."""
        configuration = self.directory / "glance-api.conf"
        self.recorder.run("glance-manage", "--config-file", configuration, "db_sync")

    @staticmethod
    def _run_tasks_within_requests():
        """Replaces the threads of Glance's task pool."""
        import futurist
        from glance import async_

        class Executor(futurist.SynchronousExecutor):
            def __init__(self, size):
                super().__init__()

        async_.NativeThreadPoolModel.get_threadpool_executor_class = staticmethod(lambda: Executor)
