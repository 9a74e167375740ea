using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Krewe.EndToEnd.Tests.Telemetry.Otlp;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.EndToEnd.Tests.Telemetry;

/// <summary>One span as it came, with the process that sent it.</summary>
internal sealed record ReceivedSpan(string Service, string Instance, Span Span)
{
    public string TraceId => Convert.ToHexStringLower(Span.TraceId.Span);

    public string SpanId => Convert.ToHexStringLower(Span.SpanId.Span);

    public string ParentId => Convert.ToHexStringLower(Span.ParentSpanId.Span);

    /// <summary>Of the nine; 0 for a span that is none of them.</summary>
    public int Step => (int)(Attribute("krewe.step")?.IntValue ?? 0);

    public AnyValue? Attribute(string key) => Span.Attributes.FirstOrDefault(pair => pair.Key == key)?.Value;
}

/// <summary>A collector that keeps what is sent to it by OTLP over HTTP.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OtlpReceiver(WebApplication app) => _app = app;

    public Uri Address => new(_app.Urls.Single());

    public ConcurrentQueue<ReceivedSpan> Spans { get; } = [];

    /// <summary>Bodies of metrics, as they came.</summary>
    public ConcurrentQueue<byte[]> Metrics { get; } = [];

    /// <summary>Bodies of spans, as they came.</summary>
    public ConcurrentQueue<byte[]> Traces { get; } = [];

    public static async Task<OtlpReceiver> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        var receiver = new OtlpReceiver(app);
        app.MapPost("/v1/traces", receiver.TakeTracesAsync);
        app.MapPost("/v1/metrics", async context => receiver.Metrics.Enqueue(await ReadAsync(context)));
        await app.StartAsync();
        return receiver;
    }

    public bool SawText(string text) => Traces.Concat(Metrics).Any(
        body => body.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeTracesAsync(HttpContext context)
    {
        var body = await ReadAsync(context);
        Traces.Enqueue(body);
        foreach (var resource in ExportTrace.Parser.ParseFrom(body).ResourceSpans)
        {
            string Of(string key) => resource.Resource.Attributes.First(pair => pair.Key == key).Value.StringValue;
            foreach (var span in resource.ScopeSpans.SelectMany(scope => scope.Spans))
                Spans.Enqueue(new ReceivedSpan(Of("service.name"), Of("service.instance.id"), span));
        }
    }

    private static async Task<byte[]> ReadAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        return body.ToArray();
    }
}
