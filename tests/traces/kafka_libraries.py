"""What the three Kafka clients for Python emit. The instrumentations are real, and so is Kafka where one can be reached.

Elsewhere the clients are stand-ins around one list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeAlias

import brokers
from studio import ORDERS, SENDER, TAKER, Studio

TOPIC = "orders"
SERVERS = "kafka:9092"
STAND_IN = "the broker and its client are stand-ins in the process"
REAL = "a real Kafka"

Clients: TypeAlias = tuple[Callable[[], Any], Callable[[], Any]]
"""What makes a producer and a consumer."""


def _server() -> str | None:
    """Return where Kafka listens, with a topic that is there and empty; None for no Kafka."""
    server = brokers.kafka()
    if server is not None:
        brokers.fresh_topic(server, TOPIC)
    return server


def _how(server: str | None, way: str = "") -> str:
    return "; ".join(filter(None, [REAL if server is not None else STAND_IN, way]))


def kafka_python() -> Studio:
    """Receive spans end before user code runs: it starts traces of its own, joined by nothing but a key."""
    from opentelemetry.instrumentation.kafka import KafkaInstrumentor

    server = _server()
    producing, consuming = _kafka_python(server)
    studio = Studio("opentelemetry-instrumentation-kafka-python", _how(server))
    instrumentor = KafkaInstrumentor()
    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    producer = producing()
    for number in ORDERS:
        with studio.order(number):
            producer.send(TOPIC, value=number.encode(), headers=[])
    producer.close()
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    for record in consuming():
        studio.record(record.value.decode())
    instrumentor.uninstrument()
    return studio


def _kafka_python(server: str | None) -> Clients:
    import kafka

    if server is not None:
        found = {"bootstrap_servers": [server], "auto_offset_reset": "earliest", "consumer_timeout_ms": 3000}
        return lambda: kafka.KafkaProducer(bootstrap_servers=[server]), lambda: kafka.KafkaConsumer(TOPIC, **found)
    log: list[Any] = []

    class Producer:
        def __init__(self) -> None:
            self.config = {"bootstrap_servers": [SERVERS]}

        def send(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> Any:
            log.append(SimpleNamespace(topic=topic, value=value, headers=headers, partition=0, offset=len(log)))
            return SimpleNamespace(_produce_future=SimpleNamespace(topic_partition=(topic, 0)))

        def close(self) -> None:
            pass

    class Consumer:
        def __init__(self) -> None:
            self.config = {"bootstrap_servers": [SERVERS]}
            self.left = iter(log)

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            return next(self.left)

    kafka.KafkaProducer, kafka.KafkaConsumer = Producer, Consumer
    return Producer, Consumer


def aiokafka_one() -> Studio:
    """As kafka-python, with present attribute names and a message id."""
    return _aiokafka(many=False)


def aiokafka_many() -> Studio:
    """A batch: a receive span for each message, below its sender, and one for the poll that links to all of them."""
    return _aiokafka(many=True)


def _aiokafka(*, many: bool) -> Studio:
    server = _server()
    producing, consuming = _aiokafka_clients(server)
    from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor

    studio = Studio("opentelemetry-instrumentation-aiokafka", _how(server, "getmany()" if many else ""))
    instrumentor = AIOKafkaInstrumentor()

    async def send() -> None:
        producer = producing()
        await producer.start()
        for number in ORDERS:
            with studio.order(number):
                await producer.send(TOPIC, number.encode())
        await producer.stop()

    async def take() -> None:
        consumer = consuming()
        await consumer.start()
        if many:
            records = [record for some in (await consumer.getmany(timeout_ms=10_000)).values() for record in some]
        for place in range(len(ORDERS)):
            record = records[place] if many else await consumer.getone()
            studio.record(record.value.decode())
        await consumer.stop()

    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    asyncio.run(send())
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    asyncio.run(take())
    instrumentor.uninstrument()
    return studio


def _aiokafka_clients(server: str | None) -> Clients:
    import aiokafka

    if server is not None:
        found = {"bootstrap_servers": server, "client_id": "shop"}
        group = {"group_id": "accounting", "auto_offset_reset": "earliest", "enable_auto_commit": False}
        return (
            lambda: aiokafka.AIOKafkaProducer(**found),
            lambda: aiokafka.AIOKafkaConsumer(TOPIC, **found, **group),
        )
    log: list[Any] = []
    client = SimpleNamespace(_bootstrap_servers=SERVERS, _client_id="shop")

    class Startable:
        async def start(self) -> None:
            pass

        async def stop(self) -> None:
            pass

    class Producer(Startable):
        def __init__(self) -> None:
            self.client = SimpleNamespace(**vars(client), _wait_on_metadata=self._known)
            self._key_serializer = self._value_serializer = None

        async def _known(self, topic: str) -> None:
            pass

        def _partition(self, *_: Any) -> int:
            return 0

        async def send(self, topic: str, value: bytes, headers: Any = None) -> None:
            log.append(
                SimpleNamespace(
                    topic=topic, value=value, key=None, headers=tuple(headers), partition=0, offset=len(log)
                )
            )

    class Consumer(Startable):
        def __init__(self) -> None:
            self._client, self._group_id = client, "accounting"
            self.left = iter(log)

        async def getone(self) -> Any:
            return next(self.left)

        async def getmany(self, timeout_ms: int) -> Any:
            return {aiokafka.TopicPartition(TOPIC, 0): list(log)}

    aiokafka.AIOKafkaProducer, aiokafka.AIOKafkaConsumer = Producer, Consumer
    return Producer, Consumer


def confluent_poll() -> Studio:
    """The process span links to the sender and is the parent of user code; both hang below a `recv` span."""
    return _confluent(batch=False)


def confluent_batch() -> Studio:
    """One process span links to the senders of all messages; the user code of each hangs below it."""
    return _confluent(batch=True)


def _confluent(*, batch: bool) -> Studio:
    from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

    server = _server()
    producing, consuming = _confluent_clients(server)
    studio = Studio("opentelemetry-instrumentation-confluent-kafka", _how(server, "consume()" if batch else "poll()"))
    producer = ConfluentKafkaInstrumentor.instrument_producer(producing(), studio.providers[SENDER])
    for number in ORDERS:
        with studio.order(number):
            producer.produce(TOPIC, number.encode())
    producer.flush()
    studio.wait(20)
    consumer = ConfluentKafkaInstrumentor.instrument_consumer(consuming(), studio.providers[TAKER])
    consumer.subscribe([TOPIC])
    if batch:
        for message in consumer.consume(len(ORDERS), 30.0):
            studio.record(message.value().decode())
    else:
        for _ in ORDERS:
            studio.record(consumer.poll(30.0).value().decode())
    consumer.close()
    return studio


class _Message:
    """A message as confluent-kafka hands it out."""

    def __init__(self, topic: str, value: bytes, headers: list[tuple[str, bytes]], offset: int) -> None:
        self._parts = topic, value, headers, offset

    def topic(self) -> str:
        return self._parts[0]

    def value(self) -> bytes:
        return self._parts[1]

    def headers(self) -> list[tuple[str, bytes]]:
        return self._parts[2]

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._parts[3]


def _confluent_clients(server: str | None) -> Clients:
    import confluent_kafka

    if server is not None:
        found = {"bootstrap.servers": server}
        group = {"group.id": "accounting", "auto.offset.reset": "earliest", "enable.auto.commit": False}
        return lambda: confluent_kafka.Producer(found), lambda: confluent_kafka.Consumer(found | group)
    log: list[_Message] = []

    class Producer:
        def __init__(self) -> None:
            self.config = {"bootstrap.servers": SERVERS}

        def produce(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
            log.append(_Message(topic, value, headers, len(log)))

        def flush(self, _timeout: float = -1) -> None:
            pass

    class Consumer:
        def __init__(self) -> None:
            self.config = {"bootstrap.servers": SERVERS}
            self.left = list(log)

        def subscribe(self, _topics: list[str], *_: Any) -> None:
            pass

        def poll(self, _timeout: float) -> _Message:
            return self.left.pop(0)

        def consume(self, _count: int, _timeout: float) -> list[_Message]:
            return self.left

        def close(self) -> None:
            pass

    return Producer, Consumer
