// Sends spans with the real OpenTelemetry SDK for Node.js: node client.js ADDRESS grpc|proto|json plain|gzip COUNT RUN
"use strict";

const { context, SpanKind, trace } = require("@opentelemetry/api");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");

const EXPORTERS = {
  grpc: "@opentelemetry/exporter-trace-otlp-grpc",
  proto: "@opentelemetry/exporter-trace-otlp-proto",
  json: "@opentelemetry/exporter-trace-otlp-http",
};
const [address, protocol, compression, count, run] = process.argv.slice(2);

function exporter() {
  const { OTLPTraceExporter } = require(EXPORTERS[protocol]);
  const url = protocol === "grpc" ? `http://${address}` : `http://${address}/v1/traces`;
  return new OTLPTraceExporter({ url, compression: compression === "gzip" ? "gzip" : "none" });
}

function request(tracer, number) {
  const outer = tracer.startSpan("request", { kind: SpanKind.SERVER, attributes: { number } });
  const inside = trace.setSpan(context.active(), outer);
  const links = [{ context: outer.spanContext() }];
  const inner = tracer.startSpan("predict", { links, attributes: { score: 0.5, names: ["a", "b"] } }, inside);
  inner.addEvent("features read", { age_s: 12 });
  inner.end();
  outer.end();
}

async function main() {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": "gateway", "test.suite.run.id": run }),
    spanProcessors: [new BatchSpanProcessor(exporter(), { maxQueueSize: 4 * count, maxExportBatchSize: 100 })],
  });
  const tracer = provider.getTracer("client");
  for (let number = 0; number < count; number += 1) {
    request(tracer, number);
  }
  await provider.forceFlush();
  await provider.shutdown();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
