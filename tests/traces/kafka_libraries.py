"""What the three Kafka clients for Python emit. The broker is a list; the instrumentations are the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from studio import ORDERS, SENDER, TAKER, Studio

TOPIC = "orders"
SERVERS = "kafka:9092"
STAND_IN = "the broker and its client are stand-ins in the process"


def kafka_python() -> Studio:
    """Receive spans end before user code runs: it starts traces of its own, joined by nothing but a key."""
    import kafka
    from opentelemetry.instrumentation.kafka import KafkaInstrumentor

    log: list[Any] = []

    class Producer:
        def __init__(self) -> None:
            self.config = {"bootstrap_servers": [SERVERS]}

        def send(self, topic: str, value: str, headers: list[tuple[str, bytes]]) -> Any:
            log.append(SimpleNamespace(topic=topic, value=value, headers=headers, partition=0, offset=len(log)))
            return SimpleNamespace(_produce_future=SimpleNamespace(topic_partition=(topic, 0)))

    class Consumer:
        def __init__(self) -> None:
            self.config = {"bootstrap_servers": [SERVERS]}
            self.left = iter(log)

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            return next(self.left)

    kafka.KafkaProducer, kafka.KafkaConsumer = Producer, Consumer
    studio = Studio("opentelemetry-instrumentation-kafka-python", STAND_IN)
    instrumentor = KafkaInstrumentor()
    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    for number in ORDERS:
        with studio.order(number):
            Producer().send(TOPIC, value=number, headers=[])
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    for record in Consumer():
        studio.record(record.value)
    instrumentor.uninstrument()
    return studio


def _aiokafka(studio: Studio) -> tuple[Any, type, type]:
    """Replace the client classes of aiokafka by stand-ins around one list."""
    import aiokafka

    log: list[Any] = []
    client = SimpleNamespace(_bootstrap_servers=SERVERS, _client_id="shop")

    class Producer:
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
                    topic=topic, value=value, key=None, headers=tuple(headers), partition=0, offset=100 + len(log)
                )
            )

    class Consumer:
        def __init__(self) -> None:
            self._client, self._group_id = client, "accounting"
            self.left = iter(log)

        async def getone(self) -> Any:
            return next(self.left)

        async def getmany(self) -> Any:
            return {aiokafka.TopicPartition(TOPIC, 0): list(log)}

    aiokafka.AIOKafkaProducer, aiokafka.AIOKafkaConsumer = Producer, Consumer
    from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor

    return AIOKafkaInstrumentor(), Producer, Consumer


def aiokafka_one() -> Studio:
    """As kafka-python, with present attribute names and a message id."""
    studio = Studio("opentelemetry-instrumentation-aiokafka", STAND_IN)
    instrumentor, producer, consumer = _aiokafka(studio)

    async def send() -> None:
        for number in ORDERS:
            with studio.order(number):
                await producer().send(TOPIC, number.encode())

    async def take() -> None:
        taking = consumer()
        for _ in ORDERS:
            record = await taking.getone()
            studio.record(record.value.decode())

    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    asyncio.run(send())
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    asyncio.run(take())
    instrumentor.uninstrument()
    return studio


def aiokafka_many() -> Studio:
    """A batch: a receive span for each message, below its sender, and one for the poll that links to all of them."""
    studio = Studio("opentelemetry-instrumentation-aiokafka", f"{STAND_IN}; getmany()")
    instrumentor, producer, consumer = _aiokafka(studio)

    async def send() -> None:
        for number in ORDERS:
            with studio.order(number):
                await producer().send(TOPIC, number.encode())

    async def take() -> None:
        for records in (await consumer().getmany()).values():
            for record in records:
                studio.record(record.value.decode())

    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    asyncio.run(send())
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    asyncio.run(take())
    instrumentor.uninstrument()
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


def _confluent(*, batch: bool) -> Studio:
    from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

    log: list[_Message] = []

    class Producer:
        def __init__(self) -> None:
            self.config = {"bootstrap.servers": SERVERS}

        def produce(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
            log.append(_Message(topic, value, headers, 40 + len(log)))

    class Consumer:
        def __init__(self) -> None:
            self.config = {"bootstrap.servers": SERVERS}
            self.left = list(log)

        def poll(self, _timeout: float) -> _Message | None:
            return self.left.pop(0) if self.left else None

        def consume(self, _count: int) -> list[_Message]:
            taken, self.left = self.left, []
            return taken

        def close(self) -> None:
            pass

    studio = Studio(
        "opentelemetry-instrumentation-confluent-kafka", f"{STAND_IN}; {'consume()' if batch else 'poll()'}"
    )
    producer = ConfluentKafkaInstrumentor.instrument_producer(Producer(), studio.providers[SENDER])
    for number in ORDERS:
        with studio.order(number):
            producer.produce(TOPIC, number.encode())
    studio.wait(20)
    consumer = ConfluentKafkaInstrumentor.instrument_consumer(Consumer(), studio.providers[TAKER])
    if batch:
        while messages := consumer.consume(10):
            for message in messages:
                studio.record(message.value().decode())
    else:
        while (message := consumer.poll(1.0)) is not None:
            studio.record(message.value().decode())
    consumer.close()
    return studio


def confluent_poll() -> Studio:
    """The process span links to the sender and is the parent of user code; both hang below a `recv` span."""
    return _confluent(batch=False)


def confluent_batch() -> Studio:
    """One process span links to the senders of all messages; the user code of each hangs below it."""
    return _confluent(batch=True)
