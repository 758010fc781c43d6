import static io.opentelemetry.api.common.AttributeKey.stringArrayKey;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Scope;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.exporter.otlp.trace.OtlpGrpcSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Sends spans with the real OpenTelemetry SDK for Java: Client ADDRESS grpc|http plain|gzip COUNT RUN. */
public final class Client {
  private Client() {}

  public static void main(String[] args) {
    int count = Integer.parseInt(args[3]);
    SpanExporter exporter = exporter("http://" + args[0], args[1], args[2].equals("gzip") ? "gzip" : "none");
    Attributes about = Attributes.builder().put("service.name", "gateway").put("test.suite.run.id", args[4]).build();
    SdkTracerProvider provider =
        SdkTracerProvider.builder()
            .setResource(Resource.create(about))
            .addSpanProcessor(
                BatchSpanProcessor.builder(exporter).setMaxQueueSize(4 * count).setMaxExportBatchSize(100).build())
            .build();
    Tracer tracer = provider.get("client");
    for (int number = 0; number < count; number++) {
      request(tracer, number);
    }
    boolean sent = provider.forceFlush().join(30, TimeUnit.SECONDS).isSuccess();
    provider.shutdown().join(30, TimeUnit.SECONDS);
    System.exit(sent ? 0 : 1);
  }

  private static SpanExporter exporter(String address, String protocol, String compression) {
    if (protocol.equals("grpc")) {
      return OtlpGrpcSpanExporter.builder().setEndpoint(address).setCompression(compression).build();
    }
    return OtlpHttpSpanExporter.builder().setEndpoint(address + "/v1/traces").setCompression(compression).build();
  }

  private static void request(Tracer tracer, int number) {
    Span outer = tracer.spanBuilder("request").setSpanKind(SpanKind.SERVER).setAttribute("number", number).startSpan();
    try (Scope ignored = outer.makeCurrent()) {
      Span inner =
          tracer
              .spanBuilder("predict")
              .addLink(outer.getSpanContext())
              .setAttribute("score", 0.5)
              .setAttribute(stringArrayKey("names"), List.of("a", "b"))
              .startSpan();
      inner.addEvent("features read", Attributes.builder().put("age_s", 12).build());
      inner.end();
    }
    outer.end();
  }
}
