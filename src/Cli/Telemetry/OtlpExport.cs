using System.Reflection;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Krewe.Cli.Telemetry;

/// <summary>How a collector is spoken to.</summary>
internal enum OtlpProtocol
{
    /// <summary>Protocol Buffers over HTTP; usually port 4318.</summary>
    Http,

    /// <summary>gRPC; usually port 4317.</summary>
    Grpc,
}

/// <summary>
/// Sends this process's spans and metrics to a collector. Silos, grains and workers know nothing of it: they make spans
/// and instruments of the base library, and nothing while nobody listens.
/// </summary>
internal sealed class OtlpExport : IDisposable
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string Everything = "Krewe.*";

    /// <summary>Spans wait so long for others, ms: an operator who looks for a request wants it now.</summary>
    private const int TraceDelayMs = 1000;

    private const int MetricIntervalMs = 10_000;

    private readonly TracerProvider _traces;
    private readonly MeterProvider _metrics;

    private OtlpExport(TracerProvider traces, MeterProvider metrics) => (_traces, _metrics) = (traces, metrics);

    /// <summary>Null when neither <paramref name="collector"/> nor OpenTelemetry's own variable names one.</summary>
    public static OtlpExport? Start(
        string service, string instance, Uri? collector, OtlpProtocol protocol, double sample)
    {
        if (collector is null && Environment.GetEnvironmentVariable(EndpointVariable) is not { Length: > 0 })
            return null;
        var version = typeof(OtlpExport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            ?.InformationalVersion.Split('+')[0];
        var resource = ResourceBuilder.CreateDefault().AddService(
            service, "krewe", version, autoGenerateServiceInstanceId: false, instance);

        void Configure(OtlpExporterOptions exporter, string path)
        {
            if (collector is null) return;
            exporter.Protocol = protocol == OtlpProtocol.Grpc
                ? OtlpExportProtocol.Grpc
                : OtlpExportProtocol.HttpProtobuf;
            exporter.Endpoint = protocol == OtlpProtocol.Grpc
                ? collector
                : new Uri($"{collector.ToString().TrimEnd('/')}/{path}");
        }

        var traces = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(Everything)
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(sample)))
            .AddOtlpExporter(exporter =>
            {
                Configure(exporter, "v1/traces");
                exporter.BatchExportProcessorOptions.ScheduledDelayMilliseconds = TraceDelayMs;
            })
            .Build();
        var metrics = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(Everything)
            .AddOtlpExporter((exporter, reader) =>
            {
                Configure(exporter, "v1/metrics");
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = MetricIntervalMs;
            })
            .Build();
        return new OtlpExport(traces, metrics);
    }

    /// <summary>Sends what waits and ends.</summary>
    public void Dispose()
    {
        _traces.Dispose();
        _metrics.Dispose();
    }
}
