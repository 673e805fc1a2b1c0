"""Reads the files in docs/deploy as their own tools do."""

import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "docs" / "deploy"
#: The long-running processes of the deployment. "migrate" ends.
ROLES = ["web", "images", "tasks", "beat"]


def environment(role=None):
    """Return the variables of photos.env, with the template's values, and those of the role."""
    lines = (DEPLOY / "photos.env").read_text().splitlines()
    common = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return {**common, **(compose()[role].get("environment", {}) if role else {})}


def compose():
    """Return the services of the compose file by role."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def manifests(kind):
    """Return the objects of a kind in the Kubernetes manifest, by name without its prefix."""
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return {
        document["metadata"]["name"].removeprefix("photos-"): document
        for document in documents
        if document["kind"] == kind
    }


def pod(role):
    """Return the specification of a role's pods in the Kubernetes manifest."""
    return {**manifests("Deployment"), **manifests("Job")}[role]["spec"]["template"]["spec"]


def unit(role):
    """Return the section [Service] of a role's systemd unit."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / "systemd" / f"photos-{role}.service")
    return parser["Service"]


def command(role):
    """Return the words of a role's command, as the compose file has them."""
    return shlex.split(compose()[role]["command"])


def options(role):
    """Return the options of a role's command, each with the word after it."""
    words = command(role)
    return {word: words[index + 1] for index, word in enumerate(words[:-1]) if word[0] == "-"}


def megabytes(text):
    """Return a size from one of the files as a number of megabytes."""
    return int(re.fullmatch(r"(\d+)(?:m|Mi)", text)[1])
