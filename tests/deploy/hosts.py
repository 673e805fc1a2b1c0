"""
Hosts for the processes of the deployment, which share no disk.

For a process, ``Namespaces`` look like hosts: each has its own network and its own file system,
which is read-only except for a few places in memory. They need root. ``Folders`` work for any user:
each process has its own folders for all files that it writes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import services
from tests.faults.engines import free_port
from tests.faults.processes import Process

from .files import ROOT, environment

PROJECT = ROOT / "docs" / "example"
#: The places that a host of the deployment may write to. The second is on web hosts only.
PLACES = ("/tmp", "/var/cache/photos")
#: File systems in memory, which keep no files.
PSEUDO = {"proc", "sysfs", "devpts", "devtmpfs", "mqueue", "nsfs", "securityfs", "debugfs", "bpf"}
PSEUDO |= {"tracefs", "cgroup", "cgroup2", "pstore", "fusectl", "binfmt_misc", "configfs"}

#: Makes all disks read-only for the process that it starts, with some memory to write to.
PRIVATE = f"""
set -e
while read -r _ place type _; do
    case " {" ".join(sorted(PSEUDO))} " in
        *" $type "*) ;;
        *) mount -o remount,ro,bind "$place" ;;
    esac
done </proc/mounts
exec 9<"{ROOT}"
for place in /tmp /var/tmp /var/cache /dev/shm; do mount -t tmpfs none "$place"; done
# The repository may be in one of these, and is there all the same.
if [ ! -e "{PROJECT}" ]; then
    mkdir -p "{ROOT}"
    mount --no-canonicalize --bind /proc/self/fd/9 "{ROOT}"
fi
if [ -n "${{FILE_UPLOAD_TEMP_DIR:-}}" ]; then mkdir -m 1777 "$FILE_UPLOAD_TEMP_DIR"; fi
cd "{PROJECT}"
exec "$@" 9<&-
"""


class Hosts:
    """Starts processes, each on its own host."""

    def __init__(self, logs):
        self._logs = logs
        self._started = []

    def start(self, role, words, **variables):
        """Start a command of the deployment on a new host; return its process."""
        program, *arguments = words
        program = sys.executable if program == "python" else Path(sys.executable).parent / program
        process = Process(
            role,
            self._command(role, [str(program), *arguments]),
            self._logs / f"{role}.log",
            **{
                **environment(role),
                # As in a container image: the deployment's settings next to the project.
                "PYTHONPATH": str(ROOT / "docs" / "deploy"),
                "PYTHONDONTWRITEBYTECODE": "1",
                **self._variables(role),
                **variables,
            },
        )
        self._started.append(process)
        return process

    def _variables(self, role):
        return {}

    def kill(self):
        """Kill all processes."""
        for process in self._started:
            process.kill()


class Namespaces(Hosts):
    """Hosts on a network whose gateway is this machine."""

    def __init__(self, logs):
        super().__init__(logs)
        number = os.getpid() % 512
        self._name = f"deploy{number}"
        self._network = f"198.{18 + number // 256}.{number % 256}"  # See RFC 2544.
        self._addresses = {}
        self.gateway = f"{self._network}.1"
        _ip("link", "add", self._name, "type", "bridge")
        _ip("address", "add", f"{self.gateway}/24", "dev", self._name)
        _ip("link", "set", self._name, "up")

    def _command(self, role, words):
        name = f"{self._name}-{role}"
        address = f"{self._network}.{len(self._addresses) + 2}"
        interface = f"{self._name}-{len(self._addresses)}"
        self._addresses[role] = address
        _ip("netns", "add", name)
        _ip("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", interface, "master", self._name, "up")
        _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", name, "link", "set", device, "up")
        return ["ip", "netns", "exec", name, "sh", "-c", PRIVATE, "sh", *words]

    def address(self, role):
        """Return the address of a host's site."""
        return f"http://{self._addresses[role]}:8000"

    def metrics(self, role):
        """Return the address of the metrics of a host's workers."""
        return f"http://{self._addresses[role]}:{environment(role)['METRICS_PORT']}"

    def place(self, process, name):
        """Return the path on this machine of a place on the process's host."""
        return Path(f"/proc/{process.commands()[0]}/root{name}")

    def writable_disks(self, process):
        """Return the places that a process can write to, by device number."""
        lines = Path(f"/proc/{process.commands()[0]}/mountinfo").read_text().splitlines()
        # The last mount at a place covers the others.
        mounts = {mount[4]: mount for mount in map(str.split, lines)}
        return {
            mount[2]
            for mount in mounts.values()
            if "rw" in mount[5].split(",") and mount[mount.index("-") + 1] not in PSEUDO
        }

    def close(self):
        """Remove the hosts after their processes have ended."""
        for role in self._addresses:
            _ip("netns", "delete", f"{self._name}-{role}")
        _ip("link", "delete", self._name)


class Folders(Hosts):
    """Each process has its own folders, and the network of this machine."""

    gateway = "127.0.0.1"

    def __init__(self, logs):
        super().__init__(logs)
        self._folder = Path(tempfile.mkdtemp(prefix="deploy_"))
        self._port, self._metrics_port = free_port(), free_port()

    def _command(self, role, words):
        for name in PLACES[: 2 if role == "web" else 1]:
            self._place(role, name).mkdir(parents=True)
        program, *arguments = words
        arguments = [
            argument.replace("0.0.0.0:8000", f"127.0.0.1:{self._port}").replace(
                "/tmp/", f"{self._place(role, '/tmp')}/"
            )
            for argument in arguments
        ]
        return ["sh", "-c", f'cd "{PROJECT}" && exec "$@"', "sh", program, *arguments]

    def _variables(self, role):
        variables = {
            name: str(self._place(role, value))
            for name, value in environment(role).items()
            if value in PLACES
        }
        if "METRICS_PORT" in environment(role):
            variables["METRICS_PORT"] = str(self._metrics_port)
        return {"TMPDIR": str(self._place(role, "/tmp")), **variables}

    def _place(self, role, name):
        return self._folder / role / name.strip("/")

    def address(self, role):
        return f"http://127.0.0.1:{self._port}"

    def metrics(self, role):
        return f"http://127.0.0.1:{self._metrics_port}"

    def place(self, process, name):
        return self._place(process.name, name)

    def writable_disks(self, process):
        return {str(self._folder / process.name)}

    def close(self):
        shutil.rmtree(self._folder)


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def need_namespaces():
    """Skip the test, or fail it if services are required, unless this user may make namespaces."""
    if not shutil.which("ip"):
        services.miss("ip is not on PATH. On Debian: apt install iproute2")
    name = f"deploy_try_{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except subprocess.CalledProcessError as error:
        services.miss(f"this user may make no network namespaces: {error.stderr.strip()}")
