"""What clients of RabbitMQ, Celery and SQS emit. The instrumentations are real, and so is RabbitMQ where one can be reached.

Elsewhere its clients end in a list, as those of SQS always do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import brokers
from studio import ORDERS, SENDER, TAKER, Studio

QUEUE = "orders"
URL = "https://sqs.eu-north-1.amazonaws.com/123456789012/orders"
STAND_IN = "the broker is a stand-in in the process"
REAL = "a real RabbitMQ"


def pika() -> Studio:
    """The receive span is a child of the sender's and the parent of user code, all in one trace."""
    from opentelemetry.instrumentation.pika import PikaInstrumentor

    server = brokers.rabbitmq()
    opened = _pika_channels(server)
    studio = Studio("opentelemetry-instrumentation-pika", STAND_IN if server is None else REAL)
    sending = opened()
    PikaInstrumentor.instrument_channel(sending, tracer_provider=studio.providers[SENDER])
    for number in ORDERS:
        with studio.order(number):
            sending.basic_publish("", QUEUE, number.encode())
    studio.wait(20)
    taking = opened()
    PikaInstrumentor.instrument_channel(taking, tracer_provider=studio.providers[TAKER])
    left = list(ORDERS)

    def taken(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        studio.record(body.decode())
        channel.basic_ack(method.delivery_tag)
        left.pop()
        if not left:
            channel.stop_consuming()

    taking.basic_consume(queue=QUEUE, on_message_callback=taken)
    taking.start_consuming()
    return studio


def _pika_channels(server: str | None) -> Callable[[], Any]:
    """Return what opens a channel, to an empty queue."""
    import pika
    from pika.adapters.blocking_connection import BlockingChannel
    from pika.spec import Basic

    if server is not None:
        host, _, port = server.rpartition(":")
        connection = pika.BlockingConnection(pika.ConnectionParameters(host, int(port)))
        first = connection.channel()
        first.queue_delete(QUEUE)
        first.queue_declare(QUEUE)
        return connection.channel
    log: list[tuple[Any, bytes]] = []

    class Channel(BlockingChannel):
        def __init__(self) -> None:
            self._consumer_infos = {}
            params = SimpleNamespace(host="rabbitmq", port=5672)
            self._connection = SimpleNamespace(_impl=SimpleNamespace(params=params))

        @property
        def connection(self) -> Any:
            return self._connection

        def basic_publish(
            self, exchange: str, routing_key: str, body: bytes, properties: Any, mandatory: bool = False
        ) -> None:
            log.append((properties, body))

        def basic_consume(self, queue: str, on_message_callback: Any) -> None:
            self._consumer_infos["tag"] = SimpleNamespace(on_message_callback=on_message_callback)

        def start_consuming(self) -> None:
            for properties, body in log:
                method = Basic.Deliver(consumer_tag="tag", delivery_tag=1, exchange="", routing_key=QUEUE)
                self._consumer_infos["tag"].on_message_callback(self, method, properties, body)

        def stop_consuming(self) -> None:
            pass

        def basic_ack(self, _delivery_tag: int) -> None:
            pass

        def __repr__(self) -> str:
            return "<Channel>"

    return Channel


def aio_pika() -> Studio:
    """As pika, with the exchange in the name of the destination."""
    from aio_pika import Message
    from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor

    server = brokers.rabbitmq()
    opened = _aio_pika_channel if server is not None else _aio_pika_stand_in()
    studio = Studio("opentelemetry-instrumentation-aio-pika", STAND_IN if server is None else REAL)
    instrumentor = AioPikaInstrumentor()

    async def send() -> None:
        async with opened(server, fresh=True) as (exchange, _):
            for number in ORDERS:
                with studio.order(number):
                    message = Message(number.encode(), headers={}, message_id=f"m-{number}")
                    await exchange.publish(message, QUEUE)

    async def take() -> None:
        left, done = list(ORDERS), asyncio.Event()

        async def taken(message: Any) -> None:
            studio.record(message.body.decode())
            await message.ack()
            left.pop()
            if not left:
                done.set()

        async with opened(server, fresh=False) as (_, queue):
            await queue.consume(taken)
            await done.wait()

    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    asyncio.run(send())
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    asyncio.run(take())
    instrumentor.uninstrument()
    return studio


@asynccontextmanager
async def _aio_pika_channel(server: str, *, fresh: bool) -> AsyncIterator[tuple[Any, Any]]:
    """Open a channel; yield its default exchange and the queue."""
    import aio_pika

    connection = await aio_pika.connect(f"amqp://guest:guest@{server}/")
    async with connection:
        channel = await connection.channel()
        if fresh:
            await channel.queue_delete(QUEUE)
        yield channel.default_exchange, await channel.declare_queue(QUEUE)


def _aio_pika_stand_in() -> Any:
    """Replace sending and taking by a list, and return what opens a channel."""
    from aio_pika import Exchange, Message, Queue

    log: list[Any] = []
    url = SimpleNamespace(host="rabbitmq", port=5672)
    channel = SimpleNamespace(connection=SimpleNamespace(connection=SimpleNamespace(url=url)))

    async def acknowledged() -> None:
        pass

    async def publish(_self: Exchange, message: Message, routing_key: str) -> None:
        parts = {"headers": message.headers, "body": message.body, "properties": message.properties}
        log.append(SimpleNamespace(exchange="", routing_key=routing_key, ack=acknowledged, **parts))

    async def consume(_self: Queue, callback: Any) -> None:
        for message in log:
            await callback(message)

    Exchange.publish, Queue.consume = publish, consume

    @asynccontextmanager
    async def opened(_server: None, *, fresh: bool) -> AsyncIterator[tuple[Any, Any]]:
        exchange, queue = Exchange.__new__(Exchange), Queue.__new__(Queue)
        exchange.name, exchange.channel, queue.channel = "", channel, channel
        yield exchange, queue

    return opened


def _celery(*, links: bool) -> Studio:
    """Run a real worker on Celery's own in-memory broker."""
    import threading

    import celery.app.amqp
    from celery import Celery
    from celery.contrib.testing.worker import start_worker
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    kind = "use_span_links=True" if links else "default settings"
    studio = Studio("opentelemetry-instrumentation-celery", f"a real worker on the in-memory broker; {kind}")
    celery.app.amqp.anon_nodename = lambda: "sender@shop"
    app = Celery(QUEUE, broker="memory://", backend="cache+memory://")
    done = threading.Semaphore(0)

    @app.task(name="shop.record", ignore_result=True)
    def record(number: str) -> None:
        studio.record(number)
        done.release()

    instrumentor = CeleryInstrumentor()
    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    for place, number in enumerate(ORDERS):
        with studio.order(number):
            record.apply_async((number,), task_id=f"00000000-0000-4000-8000-{place:012d}", reply_to="replies")
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER], use_span_links=links)
    with start_worker(app, perform_ping_check=False, pool="solo", concurrency=1, hostname="worker@shop"):
        for _ in ORDERS:
            done.acquire(timeout=30)
    instrumentor.uninstrument()
    return studio


def celery_links() -> Studio:
    """The task runs in a trace of its own, whose root links to the span that published it."""
    return _celery(links=True)


def celery_parents() -> Studio:
    """The task runs in the trace that published it."""
    return _celery(links=False)


def _sqs() -> Any:
    """Return a boto3 client of SQS whose calls end in a list instead of the network."""
    import boto3

    client = boto3.client("sqs", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    bodies: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []

    def keep(params: dict[str, Any], **_: Any) -> None:
        bodies.append({"Body": params["MessageBody"], "MessageAttributes": params.get("MessageAttributes", {})})

    def send(**_: Any) -> tuple[Any, dict[str, Any]]:
        number = len(bodies) - 1
        waiting.append({"MessageId": f"m-{number}", "ReceiptHandle": f"r-{number}", **bodies[-1]})
        return _answer({"MessageId": f"m-{number}"})

    def receive(**_: Any) -> tuple[Any, dict[str, Any]]:
        return _answer({"Messages": [waiting.pop(0)]} if waiting else {})

    client.meta.events.register("before-parameter-build.sqs.SendMessage", keep)
    client.meta.events.register("before-call.sqs.SendMessage", send)
    client.meta.events.register("before-call.sqs.ReceiveMessage", receive)
    client.meta.events.register("before-call.sqs.DeleteMessage", lambda **_: _answer({}))
    return client


def _answer(parsed: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return SimpleNamespace(status_code=200, headers={}), {**parsed, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _through_sqs(studio: Studio, instrumentor: Any) -> Studio:
    instrumentor.instrument(tracer_provider=studio.providers[SENDER])
    client = _sqs()
    for number in ORDERS:
        with studio.order(number):
            client.send_message(QueueUrl=URL, MessageBody=number)
    instrumentor.uninstrument()
    studio.wait(20)
    instrumentor.instrument(tracer_provider=studio.providers[TAKER])
    while messages := client.receive_message(QueueUrl=URL).get("Messages", []):
        for message in messages:
            studio.record(message["Body"])
            client.delete_message(QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])
    instrumentor.uninstrument()
    return studio


def boto3_sqs() -> Studio:
    """The process span links to the sender and hangs below the receive span; user code below the process span."""
    from opentelemetry.instrumentation.boto3sqs import Boto3SQSInstrumentor

    studio = Studio("opentelemetry-instrumentation-boto3sqs", "the answers of SQS are stand-ins in the process")
    return _through_sqs(studio, Boto3SQSInstrumentor())


def botocore_sqs() -> Studio:
    """Client spans alone, which carry the message's id; no context travels, user code starts its own trace."""
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

    studio = Studio("opentelemetry-instrumentation-botocore", "the answers of SQS are stand-ins in the process")
    return _through_sqs(studio, BotocoreInstrumentor())
