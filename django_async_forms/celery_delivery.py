"""Sends the messages of uploads by Celery, and waits a bounded time for its broker."""

from __future__ import annotations

import logging
import os
from typing import Any
from weakref import WeakKeyDictionary

from celery import current_app
from kombu import pools

from .conf import conf
from .models import Upload

logger = logging.getLogger("django_async_forms")

SAVE_IMAGE = "django_async_forms.save_image"

#: The options of each transport that limit the wait for a broker that accepts a connection and does
#: not answer. The defaults do not fit: redis-py waits for ever, and botocore for five minutes.
_TIMEOUTS = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
    "sqs": ("connect_timeout", "read_timeout"),
}

#: The connection of each Celery app, with the time-out that it was made with. Making it from the
#: app's settings takes a third of the time of a message. The sockets are in kombu's pool.
_connections: WeakKeyDictionary[Any, tuple[float, Any]] = WeakKeyDictionary()

#: The id of the process that made the connections.
_process = os.getpid()


class CeleryDelivery:
    """
    The default of ``DELIVERY``: a message is a call of the task ``django_async_forms.save_image``.

    The package makes one for each message, in the thread that saves the image. It uses
    ``in_background`` and ``publish()``.
    """

    def __init__(self) -> None:
        #: The app that is current in the thread that saves the image: another may call publish().
        self.app = current_app._get_current_object()

    @property
    def in_background(self) -> bool:
        """Whether a background thread calls ``publish()``, so that nobody waits for a broker."""
        # An eager task runs in this thread, because a test may have an open transaction in it.
        return not self.app.conf.task_always_eager

    def publish(self, upload: Upload) -> None:
        """
        Publish the message for an upload.

        Raises ``kombu.exceptions.OperationalError`` if the broker does not take it in time.
        """
        self.app.set_current()
        task = self.app.tasks[SAVE_IMAGE]
        arguments = (str(upload.pk), upload.using)
        if self.app.conf.task_always_eager:
            try:
                task.apply_async(arguments)
            except Exception:
                # The task itself has failed (task_eager_propagates), not the publishing.
                logger.exception("Upload %s: the eager task failed.", upload.pk)
            return
        timeout = conf().PUBLISH_TIMEOUT
        connection = self._connection(timeout)
        try:
            with pools.producers[connection].acquire(block=True, timeout=timeout) as producer:
                task.apply_async(
                    arguments,
                    producer=producer,
                    # Only use shows whether a connection from the pool has died.
                    retry=True,
                    retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
                    # Nobody reads these. Without them, a message is under 1 KiB for any host name.
                    argsrepr="",
                    origin="-",
                    reply_to="-",
                )
        except Exception:
            # Kombu tries the next broker of a list if one refuses connections, not if it is silent.
            connection.maybe_switch_next()
            raise

    def _connection(self, timeout: float) -> Any:
        global _process
        if _process != os.getpid():
            # The sockets belong to the process that this one was forked from.
            _connections.clear()
            pools.reset()  # type: ignore[no-untyped-call]
            _process = os.getpid()
        made_for, connection = _connections.get(self.app, (None, None))
        if made_for != timeout:
            connection = self.app.connection_for_write(connect_timeout=timeout)
            driver, options = connection.transport.driver_type, connection.transport_options
            bounds: dict[str, Any] = dict.fromkeys(_TIMEOUTS.get(driver, ()), timeout)
            if driver == "sqs":
                # botocore tries five times by default.
                bounds["retries"] = {"total_max_attempts": 1}
                bounds = {"client-config": {**options.get("client-config", {}), **bounds}}
            options.update(bounds)
            _connections[self.app] = timeout, connection
        return connection
