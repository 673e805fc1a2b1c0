"""The deployment on hosts that share no disk: one receives a photograph, another saves it."""

import os
import re
import subprocess
import uuid
from urllib.parse import urlsplit

import boto3
import pytest
import requests

from tests import pictures, services
from tests.faults.databases import DatabaseOfTheTests, server_of_the_tests
from tests.faults.processes import free_port, object_store, wait_until
from tests.faults.proxy import Proxy

from .files import ROLES, ROOT, command
from .hosts import PLACES, Folders, Namespaces, need_namespaces

#: The headers of a browser's request behind the proxy.
FORWARDED = {
    "Host": "photos.example.com",
    "Referer": "https://photos.example.com/",
    "X-Forwarded-Proto": "https",
}


@pytest.fixture(params=[Namespaces, Folders], ids=["namespaces", "folders"])
def hosts(request, tmp_path, monkeypatch):
    """Hosts on which nothing runs yet, and which share no disk."""
    database = os.environ.get("TEST_DATABASE", "sqlite")
    if database != "postgresql":
        pytest.skip(f"The deployment is on PostgreSQL, and this is {database}.")
    services.need_broker("rabbitmq")
    if request.param is Namespaces:
        need_namespaces()
    monkeypatch.setenv("NO_PROXY", "*")  # Proxies in the environment do not reach these hosts.
    hosts = request.param(tmp_path)
    yield hosts
    hosts.close()


@pytest.fixture
def reached(hosts):
    """Makes a port of this machine reachable from the hosts; returns its name and number there."""
    proxies = []

    def reach(port):
        proxies.append(Proxy(port, hosts.gateway))
        return f"{hosts.gateway}:{proxies[-1].port}"

    yield reach
    for proxy in proxies:
        proxy.close()


@pytest.fixture
def database(hosts, django_db_blocker):
    """An empty database; returns its URL."""
    server, name = server_of_the_tests("postgresql"), f"deploy_{uuid.uuid4().hex[:12]}"
    database = DatabaseOfTheTests(server, name, hosts.gateway)
    with django_db_blocker.unblock():
        database.create()
    yield f"postgresql://{server['USER']}@{hosts.gateway}:{database.proxy.port}/{name}"
    with django_db_blocker.unblock():
        database.drop()
    database.close()


@pytest.fixture
def broker(reached):
    """A virtual host on RabbitMQ, in which queues have their usual names; returns its URL."""
    url = urlsplit(services.BROKERS["rabbitmq"])
    name = f"deploy_{uuid.uuid4().hex[:12]}"
    try:
        _rabbitmqctl("add_vhost", name)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        services.miss(f"this user may not use rabbitmqctl: {error}")
    _rabbitmqctl("set_permissions", "-p", name, url.username, ".*", ".*", ".*")
    yield f"amqp://{url.username}:{url.password}@{reached(url.port or 5672)}/{name}"
    _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments):
    subprocess.run(["rabbitmqctl", "-q", *arguments], check=True, capture_output=True)


@pytest.fixture
def store(tmp_path, reached):
    """An object store; returns its environment variables and its bucket."""
    port = free_port()
    process = object_store(tmp_path, port)
    origin = f"http://{reached(port)}"
    keys = {"AWS_ACCESS_KEY_ID": "for tests only", "AWS_SECRET_ACCESS_KEY": "for tests only"}
    client = boto3.resource(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        **{name.lower(): value for name, value in keys.items()},
    )
    bucket = client.Bucket("pictures")
    yield (
        {
            **keys,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": origin,
            "S3_BUCKET": bucket.name,
            "IMAGE_ORIGIN": origin,
        },
        bucket,
    )
    client.meta.client.close()
    process.kill()


@pytest.fixture
def start(hosts, database, broker, store, tmp_path):
    """Starts a process of the deployment on its own host: ``start("web")``."""
    variables = {**store[0], "DATABASE_URL": database, "BROKER_URL": broker}
    yield lambda role: hosts.start(role, command(role), **variables)
    hosts.kill()
    for log in tmp_path.glob("*.log"):
        print(f"--- {log.name}\n{log.read_text(errors='replace')}")  # Shown when it has failed.


class Browser:
    """A browser that talks to the site through a proxy, as on the internet."""

    def __init__(self, address):
        self._address = address
        self._cookies = {}

    def get(self, path):
        return self._ask("GET", path)

    def post(self, path, data, files):
        """Send a form of the site with its token; return the response."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).text)[1]
        return self._ask("POST", path, data={"csrfmiddlewaretoken": token, **data}, files=files)

    def _ask(self, method, path, **options):
        # By hand: the cookies are secure, but the proxy talks to the site without TLS.
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        answer = requests.request(
            method,
            f"{self._address}{path}",
            headers={**FORWARDED, "Cookie": cookies},
            timeout=60,
            allow_redirects=False,
            **options,
        )
        self._cookies.update(answer.cookies.get_dict())
        return answer


def files(hosts, process):
    """Return the names of the files that a process has written on its host."""
    places = [hosts.place(process, name) for name in PLACES]
    return {
        path.name
        for place in places
        for path in place.rglob("*")
        # The repository may be in one of these places, on another disk.
        if path.is_file() and path.stat().st_dev == place.stat().st_dev
    }


def files_of_the_project():
    return {path for path in (ROOT / "docs").rglob("*") if "__pycache__" not in path.parts}


def test_a_photograph_is_saved_by_a_host_that_shares_no_disk_with_the_site(hosts, start, store):
    before = files_of_the_project()
    migrate = start("migrate")
    wait_until(lambda: not migrate.is_running(), "the tables are made")
    assert "Applying django_async_forms.0001_initial... OK" in migrate.text()

    processes = {role: start(role) for role in ROLES}
    address = hosts.address("web")

    def asked(path):
        try:
            return requests.get(f"{address}{path}", timeout=60).text
        except requests.ConnectionError:
            return ""

    processes["web"].wait_for(lambda: asked("/ready") == "ok\n", "the site answers")
    for role in ("images", "tasks"):
        mark = hosts.place(processes[role], "/tmp/worker-ready")
        processes[role].wait_for(mark.exists, f"the worker {role} is ready")
    processes["beat"].wait_for(lambda: "beat: Starting" in processes["beat"].text(), "beat runs")

    # Large enough for Django to write it to FILE_UPLOAD_TEMP_DIR while it arrives.
    data = pictures.jpeg(2000, 1500, seed=1)
    assert len(data) > 2.5 * 1024**2
    browser = Browser(address)
    answer = browser.post(
        "/photos/add/", {"title": "A dune"}, {"image": ("dune.jpg", data, "image/jpeg")}
    )
    assert answer.status_code == 302, answer.text

    processes["images"].wait_for(
        lambda: 'async_forms_pending{database="default"} 0.0\n' in asked("/metrics"),
        "no upload is left",
    )
    assert "async_forms_staging_seconds_count 1.0\n" in asked("/metrics")
    saved = 'async_forms_attempts_total{result="ended"} 1.0\n'
    processes["images"].wait_for(
        lambda: saved in requests.get(hosts.metrics("images"), timeout=60).text,
        "the worker has counted the attempt",
    )
    assert asked("/health") == "ok\n"
    assert {item.key: item.get()["Body"].read() for item in store[1].objects.all()} == {
        "photos/dune.jpg": data
    }
    page = browser.get(answer.headers["Location"])
    # The address is signed, because the bucket is private.
    [image] = re.findall(r'src="([^"?]+/photos/dune.jpg)\?', page.text)
    sources = re.search("img-src ([^;]+);", page.headers["Content-Security-Policy"])[1].split()
    assert any(image.startswith(f"{source}/") for source in sources)
    assert browser.get("/static/photos/site.css").status_code == 200
    assert browser.get("/metrics").status_code == 404  # The proxy passes on every request.

    disks = [hosts.writable_disks(process) for process in processes.values()]
    assert all(disks)
    assert len(set.union(*disks)) == sum(len(of_one) for of_one in disks)
    left = {
        role: {name for name in files(hosts, process) if not name.endswith(".db")}  # Of metrics.
        for role, process in processes.items()
    }
    assert all(name.startswith("beat") for name in left.pop("beat"))  # The schedule of beat.
    assert left == {"web": set(), "images": {"worker-ready"}, "tasks": {"worker-ready"}}
    assert files_of_the_project() == before

    for process in processes.values():
        process.ask_to_stop()
    for process in processes.values():
        wait_until(lambda process=process: not process.is_running(), f"{process.name} stops")
    assert "Warm shutdown" in processes["images"].text()
