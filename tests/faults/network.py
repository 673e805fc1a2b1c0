"""A network of hosts on this machine, which are network namespaces. It needs root and ip."""

import os
import shutil
import subprocess


class Network:
    """Hosts on a bridge whose gateway is this machine. ``name`` distinguishes it from others."""

    def __init__(self, name):
        number = os.getpid() % 512
        self._name = f"{name}{number}"
        self._network = f"198.{18 + number // 256}.{number % 256}"  # See RFC 2544.
        #: The addresses of the hosts by their names.
        self.addresses = {}
        self.gateway = f"{self._network}.1"
        ip("link", "add", self._name, "type", "bridge")
        ip("address", "add", f"{self.gateway}/24", "dev", self._name)
        ip("link", "set", self._name, "up")

    def add(self, host):
        """Add a host, unless it is there; return the words that start a command on it."""
        namespace = f"{self._name}-{host}"
        if host not in self.addresses:
            address = f"{self._network}.{len(self.addresses) + 2}"
            interface = f"{self._name}-{len(self.addresses)}"
            self.addresses[host] = address
            ip("netns", "add", namespace)
            ip("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            self.join(host)
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", namespace, "link", "set", device, "up")
        return ["ip", "netns", "exec", namespace]

    def cut(self, host):
        """Cut a host off. What it sends is lost, and so is what is sent to it."""
        ip("link", "set", self._interface(host), "nomaster")

    def join(self, host):
        """Connect a host again."""
        ip("link", "set", self._interface(host), "master", self._name, "up")

    def _interface(self, host):
        return f"{self._name}-{list(self.addresses).index(host)}"

    def close(self):
        """Remove the hosts after their processes have ended."""
        for host in self.addresses:
            ip("netns", "delete", f"{self._name}-{host}")
        ip("link", "delete", self._name)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def why_no_network():
    """Return why this user can make no network of hosts, or None."""
    if not shutil.which("ip"):
        return "ip is not on PATH. On Debian: apt install iproute2"
    name = f"faults_try_{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except subprocess.CalledProcessError as error:
        return f"this user may make no network namespaces: {error.stderr.strip()}"
    return None
