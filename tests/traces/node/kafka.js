"use strict";
// What KafkaJS emits, with a real Kafka.

const { KafkaJsInstrumentation } = require("@opentelemetry/instrumentation-kafkajs");
const { ORDERS, Studio, TAKER } = require("./studio");

const TOPIC = "orders-node";

async function kafkajs(way) {
  const name = "@opentelemetry/instrumentation-kafkajs";
  const studio = new Studio(name, new KafkaJsInstrumentation(), `a real Kafka; ${way}`);
  const { Kafka, logLevel } = require("kafkajs");
  const brokers = [process.env.KAFKA ?? "127.0.0.1:9092"];
  const kafka = new Kafka({ clientId: "shop", brokers, logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  const topic = `${TOPIC}-${way.toLowerCase()}`;
  if ((await admin.listTopics()).includes(topic)) await admin.deleteTopics({ topics: [topic] });
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  await studio.takeOrders((number) => producer.send({ topic, messages: [{ value: number }] }));
  await producer.disconnect();
  studio.as(TAKER);
  const consumer = kafka.consumer({ groupId: `accounting-${Date.now()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await taken(studio, consumer, way);
  await consumer.disconnect();
  await admin.disconnect();
  return studio;
}

/** Take all orders, one by one or as a batch. */
function taken(studio, consumer, way) {
  let left = ORDERS.length;
  return new Promise((done) => {
    const record = (message) => {
      studio.record(message.value.toString());
      if (--left === 0) done();
    };
    const eachMessage = async ({ message }) => record(message);
    const eachBatch = async ({ batch }) => batch.messages.forEach(record);
    consumer.run(way === "eachMessage" ? { eachMessage } : { eachBatch });
  });
}

module.exports = {
  /** The process span is a child of the send span and the parent of user code, all in one trace. */
  "node-kafkajs": () => kafkajs("eachMessage"),
  /** User code hangs below the poll of the batch, beside process spans that link to the senders and mean nobody's code. */
  "node-kafkajs-batch": () => kafkajs("eachBatch"),
};
