"use strict";
// What amqplib emits, with a real RabbitMQ.

const { AmqplibInstrumentation } = require("@opentelemetry/instrumentation-amqplib");
const { ORDERS, Studio, TAKER } = require("./studio");

const QUEUE = "orders";

async function amqplib(useLinksForConsume) {
  const settings = useLinksForConsume ? "useLinksForConsume: true" : "default settings";
  const instrumentation = new AmqplibInstrumentation({ useLinksForConsume });
  const name = "@opentelemetry/instrumentation-amqplib";
  const studio = new Studio(name, instrumentation, `a real RabbitMQ; ${settings}`);
  const connection = await require("amqplib").connect(process.env.RABBITMQ_URL ?? "amqp://127.0.0.1:5672");
  const channel = await connection.createChannel();
  await channel.deleteQueue(QUEUE);
  await channel.assertQueue(QUEUE);
  await studio.takeOrders((number) => channel.sendToQueue(QUEUE, Buffer.from(number)));
  studio.as(TAKER);
  let left = ORDERS.length;
  await new Promise((done) => {
    channel.consume(QUEUE, (message) => {
      studio.record(message.content.toString());
      channel.ack(message);
      if (--left === 0) done();
    });
  });
  await connection.close();
  return studio;
}

module.exports = {
  /** The process span is a child of the publish span and the parent of user code, all in one trace. */
  "node-amqplib": () => amqplib(false),
  /** The process span begins a trace of its own and links to the publish span. */
  "node-amqplib-links": () => amqplib(true),
};
