"""
Hosts for the processes of the deployment, which share no disk.

For a process, ``Namespaces`` look like hosts: each has its own network and its own file system,
which is read-only except for a few places in memory. They need root. ``Folders`` work for any user:
each process has its own folders for all files that it writes.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests import services
from tests.faults.network import Network, why_no_network
from tests.faults.processes import Process, free_port

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
        self._network = Network("deploy")
        self.gateway = self._network.gateway

    def _command(self, role, words):
        return [*self._network.add(role), "sh", "-c", PRIVATE, "sh", *words]

    def address(self, role):
        """Return the address of a host's site."""
        return f"http://{self._network.addresses[role]}:8000"

    def metrics(self, role):
        """Return the address of the metrics of a host's workers."""
        return f"http://{self._network.addresses[role]}:{environment(role)['METRICS_PORT']}"

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
        self._network.close()


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


def need_namespaces():
    """Skip the test, or fail it if services are required, unless this user may make namespaces."""
    reason = why_no_network()
    if reason:
        services.miss(reason)
