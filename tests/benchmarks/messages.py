"""Messages: the bytes that a broker keeps for one upload."""

import json

from redis import Redis

from . import images
from .worker_speed import save


def measure(results, places, size, progress):
    """Save one upload with each broker and look at the message."""
    for name, broker in places.brokers.items():
        progress(f"messages {name}")
        with places.use(places.database, staging="files", broker=name):
            save(images.image(size))
        count = _in_redis if name == "redis" else _in_rabbitmq
        results.note("message", images.label(size), name, value=count(broker))
        places.empty(places.database)


def _in_redis(broker):
    with Redis.from_url(broker.url) as redis:
        [message] = redis.lrange(f"{broker.queue}:{broker.queue}", 0, -1)
    return len(message)


def _in_rabbitmq(broker):
    """Count the body, and the properties as text, which is longer than the broker's binary form."""
    with broker.connection() as connection:
        message = connection.default_channel.basic_get(broker.queue, no_ack=True)
    return len(message.body) + len(json.dumps(message.properties))
