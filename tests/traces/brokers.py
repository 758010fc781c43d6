"""Real brokers, where there are any: then recordings are made with them, else with stand-ins in the process.

Debian has `rabbitmq-server`. Kafka needs a Java runtime and the jars of `org.apache.kafka:kafka_2.13` and its
dependencies, as one node that is broker and controller. Neither needs more settings than its address.
"""

from __future__ import annotations

import os
import socket
import time


def kafka() -> str | None:
    """Return where Kafka listens: `$KAFKA`, else its usual port here; None where nothing does."""
    return _reachable(os.environ.get("KAFKA", "127.0.0.1:9092"))


def rabbitmq() -> str | None:
    """Return where RabbitMQ listens: `$RABBITMQ`, else its usual port here; None where nothing does."""
    return _reachable(os.environ.get("RABBITMQ", "127.0.0.1:5672"))


def _reachable(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return address
    except OSError:
        return None


def fresh_topic(server: str, name: str) -> None:
    """Make a topic with one partition and nothing in it."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": server})
    if name in admin.list_topics(timeout=10).topics:
        for deleted in admin.delete_topics([name]).values():
            deleted.result()
    while name in admin.list_topics(timeout=10).topics:
        time.sleep(0.1)
    for made in admin.create_topics([NewTopic(name, 1, 1)]).values():
        made.result()
    while not admin.list_topics(name, timeout=10).topics[name].partitions:
        time.sleep(0.1)
