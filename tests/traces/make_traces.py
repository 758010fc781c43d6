"""Makes the recordings beside this file: what messaging instrumentations really emit, as OTLP/JSON.

    python -m venv /tmp/recording
    /tmp/recording/bin/pip install -r tests/traces/requirements.txt
    PYTHONPATH=collector /tmp/recording/bin/python tests/traces/make_traces.py

Every recording holds three orders that a service `checkout` takes and sends on, and a service
`accounting` receives and records. The spans are made by the instrumentation itself. Kafka and RabbitMQ
are real where they can be reached (`brokers.py` says how), else something stands in for them; which
it was is told by the attribute `recording.made.by` of each resource. Ids and times are the same every
time. The recordings of Node.js libraries are made by `node/make_traces.js`. Each recording is made in a process of its own, because instrumentations patch.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kafka_libraries
import queue_libraries

RECORDINGS = {
    "kafka-python": kafka_libraries.kafka_python,
    "aiokafka": kafka_libraries.aiokafka_one,
    "aiokafka-batch": kafka_libraries.aiokafka_many,
    "confluent-kafka": kafka_libraries.confluent_poll,
    "confluent-kafka-batch": kafka_libraries.confluent_batch,
    "pika": queue_libraries.pika,
    "aio-pika": queue_libraries.aio_pika,
    "celery-links": queue_libraries.celery_links,
    "celery": queue_libraries.celery_parents,
    "boto3sqs": queue_libraries.boto3_sqs,
    "botocore-sqs": queue_libraries.botocore_sqs,
}


def main(names: list[str]) -> None:
    if len(names) == 1:
        RECORDINGS[names[0]]().write(Path(__file__).with_name(f"{names[0]}.json"))
        return
    for name in names or RECORDINGS:
        subprocess.run([sys.executable, __file__, name], check=True)
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
