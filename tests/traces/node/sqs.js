"use strict";
// What the AWS SDK for JavaScript emits for SQS. The client is real and talks HTTP; what answers it is a stand-in.

const { AwsInstrumentation } = require("@opentelemetry/instrumentation-aws-sdk");
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");
const { Studio, TAKER } = require("./studio");

const PORT = 18_081;
const QUEUE = `http://127.0.0.1:${PORT}/123456789012/orders`;

/** Answer the JSON protocol of SQS from a list. */
async function standIn() {
  const waiting = [];
  const answers = {
    SendMessage({ MessageBody: body, MessageAttributes: attributes }) {
      const id = `m-${waiting.length}`;
      waiting.push({ MessageId: id, ReceiptHandle: `r-${id}`, Body: body, MD5OfBody: md5(body), MessageAttributes: attributes });
      return { MessageId: id, MD5OfMessageBody: md5(body) };
    },
    ReceiveMessage: ({ MaxNumberOfMessages: most = 1 }) => ({ Messages: waiting.splice(0, most) }),
    DeleteMessage: () => ({}),
  };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const operation = request.headers["x-amz-target"].split(".")[1];
    response.setHeader("Content-Type", "application/x-amz-json-1.0");
    response.end(JSON.stringify(answers[operation](JSON.parse(Buffer.concat(chunks)))));
  });
  await new Promise((done) => server.listen(PORT, "127.0.0.1", done));
  return server;
}

function md5(text) {
  return createHash("md5").update(text).digest("hex");
}

async function sqs() {
  const name = "@opentelemetry/instrumentation-aws-sdk";
  const studio = new Studio(name, new AwsInstrumentation(), "a stand-in for SQS behind real HTTP");
  const { DeleteMessageCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } = require("@aws-sdk/client-sqs");
  const server = await standIn();
  const client = new SQSClient({
    region: "eu-north-1",
    endpoint: `http://127.0.0.1:${PORT}`,
    credentials: { accessKeyId: "x", secretAccessKey: "x" },
  });
  await studio.takeOrders((number) => client.send(new SendMessageCommand({ QueueUrl: QUEUE, MessageBody: number })));
  studio.as(TAKER);
  for (;;) {
    const { Messages: messages } = await client.send(new ReceiveMessageCommand({ QueueUrl: QUEUE }));
    if (!messages?.length) break;
    for (const message of messages) {
      studio.record(message.Body);
      await client.send(new DeleteMessageCommand({ QueueUrl: QUEUE, ReceiptHandle: message.ReceiptHandle }));
    }
  }
  client.destroy();
  server.close();
  return studio;
}

module.exports = {
  /** The receive span links to the senders of what it took; user code begins a trace of its own. */
  "node-aws-sqs": sqs,
};
