// Sends spans with the real OpenTelemetry SDK for Go: client ADDRESS grpc|http plain|gzip COUNT RUN
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	if err := send(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(ctx context.Context, args []string) error {
	address, protocol, compression, run := args[0], args[1], args[2], args[4]
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	exporter, err := otlptrace.New(ctx, clientOf(address, protocol, compression))
	if err != nil {
		return err
	}
	about := resource.NewSchemaless(
		attribute.String("service.name", "gateway"), attribute.String("test.suite.run.id", run))
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(4*count), sdk.WithMaxExportBatchSize(100)), sdk.WithResource(about))
	tracer := provider.Tracer("client")
	for number := range count {
		request(ctx, tracer, number)
	}
	return provider.Shutdown(ctx)
}

func clientOf(address, protocol, compression string) otlptrace.Client {
	if protocol == "grpc" {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure()}
		if compression == "gzip" {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.NewClient(options...)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(address), otlptracehttp.WithInsecure()}
	if compression == "gzip" {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.NewClient(options...)
}

func request(ctx context.Context, tracer trace.Tracer, number int) {
	ctx, outer := tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.Int("number", number)))
	_, inner := tracer.Start(ctx, "predict", trace.WithLinks(trace.LinkFromContext(ctx)),
		trace.WithAttributes(attribute.Float64("score", 0.5), attribute.StringSlice("names", []string{"a", "b"})))
	inner.AddEvent("features read", trace.WithAttributes(attribute.Int("age_s", 12)))
	inner.End()
	outer.End()
}
