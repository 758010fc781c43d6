"use strict";
// Records what instrumentations emit: the real SDK and real libraries, with ids and times that are the same every time.

const { context, propagation, trace } = require("@opentelemetry/api");
const { AsyncLocalStorageContextManager } = require("@opentelemetry/context-async-hooks");
const { W3CTraceContextPropagator } = require("@opentelemetry/core");
const { ExpressInstrumentation } = require("@opentelemetry/instrumentation-express");
const { HttpInstrumentation } = require("@opentelemetry/instrumentation-http");
const { JsonTraceSerializer } = require("@opentelemetry/otlp-transformer");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { createHash } = require("node:crypto");
const { writeFileSync } = require("node:fs");

const BEGIN = 1_772_442_000_000; // 2026-03-02T09:00:00Z in ms
const ORDERS = ["o-1", "o-2", "o-3"];
const SENDER = "checkout";
const TAKER = "accounting";
const PORT = 18_080;
const EPHEMERAL = 50_000;

/** Random-looking ids that are the same every time. */
class SeededIds {
  constructor(seed) {
    this.seed = seed;
    this.count = 0;
    this.generateTraceId = () => this.#digits(32);
    this.generateSpanId = () => this.#digits(16);
  }

  #digits(length) {
    return createHash("sha256").update(`${this.seed}/${this.count++}`).digest("hex").slice(0, length);
  }
}

/** Goes on by a millisecond whenever a span begins or ends, and knows nothing of the real time. */
class Clock {
  constructor() {
    this.now = BEGIN;
  }

  look() {
    this.now += 1;
    return [Math.floor(this.now / 1000), (this.now % 1000) * 1_000_000];
  }

  onStart(span) {
    span.startTime = this.look();
  }

  onEnd(span) {
    span.endTime = this.look();
    const clients = ["net.peer.port", "network.peer.port", "client.port"];
    for (const name of clients) if (span.kind === 1 && span.attributes[name]) span.attributes[name] = EPHEMERAL;
  }

  forceFlush() {}
  shutdown() {}
}

/** One recording: two services in this process, of which the first takes orders over HTTP. */
class Studio {
  /** `library` is the instrumentation, `stand_in` says what else was real and what was not. */
  constructor(library, instrumentation, standIn) {
    const made = `${library} ${require(`${library}/package.json`).version}; ${standIn}`;
    this.clock = new Clock();
    this.spans = new InMemorySpanExporter();
    this.instrumentation = instrumentation;
    const idGenerator = new SeededIds(`${library}/${standIn}`);
    const spanProcessors = [this.clock, new SimpleSpanProcessor(this.spans)];
    this.providers = {};
    for (const service of [SENDER, TAKER]) {
      const resource = resourceFromAttributes({ "service.name": service, "recording.made.by": made });
      this.providers[service] = new BasicTracerProvider({ resource, idGenerator, spanProcessors });
    }
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    this.incoming = [
      new HttpInstrumentation({
        disableOutgoingRequestInstrumentation: true,
        ignoreIncomingRequestHook: (request) => request.socket.localPort !== PORT,
      }),
      new ExpressInstrumentation(),
    ];
    for (const one of this.incoming) one.setTracerProvider(this.providers[SENDER]);
    this.as(SENDER);
  }

  /** From here on the library runs in this service. */
  as(service) {
    this.instrumentation.setTracerProvider(this.providers[service]);
  }

  wait(milliseconds) {
    this.clock.now += milliseconds;
  }

  /** Take all orders over HTTP; `send` sends one on. */
  async takeOrders(send) {
    const express = require("express");
    const app = express();
    app.post("/orders", async (request, response) => {
      const { number } = request.query;
      trace.getActiveSpan().setAttribute("order.id", number);
      await send(number);
      response.sendStatus(202);
    });
    const server = await new Promise((done) => {
      const listening = app.listen(PORT, "127.0.0.1", () => done(listening));
    });
    for (const number of ORDERS) {
      const answer = await fetch(`http://127.0.0.1:${PORT}/orders?number=${number}`, { method: "POST" });
      if (answer.status !== 202) throw new Error(`order ${number}: ${answer.status}`);
      await answer.text();
    }
    await new Promise((done) => server.close(done));
    this.wait(20);
  }

  /** Do what the taking service does with an order: user code, in whatever context the library leaves. */
  record(number) {
    const tracer = this.providers[TAKER].getTracer("shop");
    tracer.startActiveSpan("record order", { attributes: { "order.id": number } }, (span) => {
      this.wait(5);
      span.end();
    });
  }

  /** Write the recording as one line of OTLP/JSON, spans by start. */
  write(path) {
    const spans = this.spans.getFinishedSpans();
    spans.sort((one, other) => one.startTime[0] - other.startTime[0] || one.startTime[1] - other.startTime[1]);
    writeFileSync(path, `${Buffer.from(JsonTraceSerializer.serializeRequest(spans))}\n`);
  }
}

module.exports = { ORDERS, SENDER, Studio, TAKER };
