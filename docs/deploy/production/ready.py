"""What a worker says to those who watch it: a mark while it hears its broker, and its metrics."""

import os
import tempfile
from pathlib import Path

from celery.signals import heartbeat_sent, worker_ready
from prometheus_client import start_http_server

from django_async_forms.prometheus import process_registry

MARK = Path(tempfile.gettempdir()) / "worker-ready"


@heartbeat_sent.connect
def leave_mark(**kwargs):
    MARK.touch()  # Every two seconds, for probes.


@worker_ready.connect
def serve_metrics(**kwargs):
    if "METRICS_PORT" in os.environ:  # Not for workers that save no images.
        start_http_server(int(os.environ["METRICS_PORT"]), registry=process_registry())
