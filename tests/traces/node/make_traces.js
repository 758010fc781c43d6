"use strict";
// Makes the recordings of Node.js libraries one folder up: what messaging instrumentations really emit, as OTLP/JSON.
//
//     cd tests/traces/node && npm ci && node make_traces.js [NAME …]
//
// It needs RabbitMQ at 127.0.0.1:5672 (or RABBITMQ_URL) and Kafka at 127.0.0.1:9092 (or KAFKA). Every recording holds
// three orders that `checkout`, an Express server, takes over HTTP and sends on, and that `accounting` receives and
// records. The spans are made by the instrumentations; ids and times are the same every time, and so are the ports
// that clients happen to have. Each recording is made in a process of its own, because instrumentations patch.

const { execFileSync } = require("node:child_process");
const { join } = require("node:path");

const RECORDINGS = { ...require("./rabbitmq"), ...require("./kafka"), ...require("./sqs") };

async function main(names) {
  if (names.length === 1) {
    const studio = await RECORDINGS[names[0]]();
    studio.write(join(__dirname, "..", `${names[0]}.json`));
    return;
  }
  for (const name of names.length ? names : Object.keys(RECORDINGS)) {
    execFileSync(process.execPath, [__filename, name], { stdio: "inherit" });
    console.log(name);
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
