"""The files of the deployment agree with each other, with the settings, and with the page."""

import ast
import re
import secrets
import shlex
import subprocess
import sys

import pytest
import yaml

from .files import (
    DEPLOY,
    ROLES,
    ROOT,
    command,
    compose,
    environment,
    manifests,
    megabytes,
    options,
    pod,
    unit,
)

#: Variables that Django and boto3 read themselves.
READ_BY_LIBRARIES = {
    "DJANGO_SETTINGS_MODULE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "PROMETHEUS_MULTIPROC_DIR",
}
WORKERS = ["images", "tasks"]
#: Values that an operator would write in place of the template's.
KEY = secrets.token_urlsafe(50)


@pytest.fixture(scope="module")
def settings_of_the_site():
    """Django's settings on a host, as far as they are Python literals."""
    code = (
        "from django.conf import settings;"
        "print({name: getattr(settings, name) for name in dir(settings) if name.startswith("
        "('ASYNC_FORMS', 'CELERY_'))})"
    )
    return ast.literal_eval(run("-c", code))


def run(*arguments):
    """Run Python as on a host, and return its output."""
    variables = {"SECRET_KEY": KEY, "PYTHONPATH": str(DEPLOY), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT / "docs" / "example",
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_environment_has_exactly_the_variables_of_the_settings():
    read = set()
    for path in (DEPLOY / "production").glob("*.py"):
        read |= set(re.findall(r'os\.environ(?:\.get\(|\[)"(\w+)"', path.read_text()))

    assert set().union(*(environment(role) for role in ROLES)) == read | READ_BY_LIBRARIES


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_a_process_has_the_same_environment_everywhere(role):
    [container] = pod(role)["containers"]
    additional = compose()[role].get("environment", {})

    assert compose()[role]["env_file"] == "photos.env"
    assert container["envFrom"] == [{"secretRef": {"name": "photos"}}]
    assert {item["name"]: item["value"] for item in container.get("env", [])} == additional
    if role != "migrate":
        assert unit(role)["EnvironmentFile"] == "/etc/photos.env"
        variables = unit(role).get("Environment", "").split()
        assert dict(variable.split("=") for variable in variables) == additional


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_a_process_is_started_by_one_command_everywhere(role):
    [container] = pod(role)["containers"]
    assert container["command"] == command(role)
    if role != "migrate":
        program, *arguments = shlex.split(unit(role)["ExecStart"].replace("%%", "%"))
        assert [program.rpartition("/")[2], *arguments] == command(role)


def test_each_role_is_in_each_file():
    assert set(compose()) == {*ROLES, "migrate"}
    assert set(manifests("Deployment")) == set(ROLES)
    assert {path.stem for path in (DEPLOY / "systemd").iterdir()} == {
        f"photos-{role}" for role in ROLES
    }


def test_prometheus_finds_the_metrics_of_the_site_and_of_the_workers():
    scrapes = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"]
    ports = {
        scrape["job_name"].removeprefix("photos-"): {
            target.rpartition(":")[2] for target in scrape["static_configs"][0]["targets"]
        }
        for scrape in scrapes
    }

    assert ports == {"web": {"8000"}, "images": {environment("images")["METRICS_PORT"]}}
    for role, [port] in ports.items():
        annotations = manifests("Deployment")[role]["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": port}
        assert pod(role)["containers"][0]["ports"][0]["containerPort"] == int(port)
        assert compose()[role]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_one_beat_runs_during_an_upgrade():
    beat = manifests("Deployment")["beat"]["spec"]

    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


def test_each_queue_has_a_worker(settings_of_the_site):
    routes = settings_of_the_site["CELERY_TASK_ROUTES"]
    assert routes["django_async_forms.save_image"]["queue"] == options("images")["-Q"]
    # Without a route, tasks go to Celery's default queue.
    assert "django_async_forms.recover_uploads" not in routes
    assert options("tasks")["-Q"] == "celery"


def test_an_attempt_is_over_before_its_image_is_sent_again(settings_of_the_site):
    [limits] = settings_of_the_site["CELERY_TASK_ANNOTATIONS"].values()
    resend_after = settings_of_the_site["ASYNC_FORMS"].get("RESEND_AFTER", 120)

    assert limits["soft_time_limit"] < limits["time_limit"] < resend_after


@pytest.mark.parametrize("role", WORKERS)
def test_a_worker_that_is_stopped_has_the_time_for_an_attempt(settings_of_the_site, role):
    [limits] = settings_of_the_site["CELERY_TASK_ANNOTATIONS"].values()
    times = {
        int(compose()[role]["stop_grace_period"].removesuffix("s")),
        int(unit(role)["TimeoutStopSec"]),
        pod(role)["terminationGracePeriodSeconds"],
    }

    assert min(times) > limits["time_limit"]
    assert unit(role)["KillMode"] == "mixed"


def test_a_form_with_two_of_the_largest_images_gets_through(settings_of_the_site):
    nginx = re.search(r"client_max_body_size (\w+);", (DEPLOY / "nginx.conf").read_text())[1]
    [ingress] = manifests("Ingress").values()
    annotation = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    largest = 2 * settings_of_the_site["ASYNC_FORMS"]["MAX_BYTES"] / 1024**2

    assert largest < megabytes(nginx) == megabytes(annotation)


def test_the_temporary_folder_of_the_site_fits_simultaneous_requests():
    folder = environment("web")["FILE_UPLOAD_TEMP_DIR"]
    web = options("web")
    nginx = re.search(r"client_max_body_size (\w+);", (DEPLOY / "nginx.conf").read_text())[1]
    needed = int(web["--workers"]) * int(web["--threads"]) * megabytes(nginx)

    [mount] = [m for m in pod("web")["containers"][0]["volumeMounts"] if m["mountPath"] == folder]
    [volume] = [v for v in pod("web")["volumes"] if v["name"] == mount["name"]]
    assert megabytes(volume["emptyDir"]["sizeLimit"]) > needed
    [size] = [t.split("size=")[1] for t in compose()["web"]["tmpfs"] if t.startswith(f"{folder}:")]
    assert megabytes(size) > needed
    assert f"/var/cache/{unit('web')['CacheDirectory']}" == folder


def test_the_container_image_has_the_files_of_the_processes():
    sources = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)

    assert all((ROOT / source).exists() for line in sources for source in line.split())


def test_the_deployment_passes_djangos_checks():
    pytest.importorskip("psycopg")
    assert run("manage.py", "check", "--deploy", "--fail-level", "WARNING") == (
        "System check identified no issues (1 silenced).\n"
    )
