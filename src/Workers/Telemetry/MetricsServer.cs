using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Control.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Workers;

/// <summary>
/// What a worker tells over HTTP: GET /metrics, /health/live (its engine's loop runs) and /health/ready (it is linked
/// and takes work). Nothing can be asked of it here.
/// </summary>
internal static class MetricsServer
{
    /// <summary>Throws <see cref="KreweException"/> (PortInUse) when somebody else listens there.</summary>
    /// <param name="endpoint">Where to listen.</param>
    /// <param name="metrics">What is shown.</param>
    /// <param name="notReady">Why the worker takes no work; null = it does.</param>
    /// <param name="isAlive">The engine has not broken.</param>
    public static async Task<IAsyncDisposable> StartAsync(
        IPEndPoint endpoint, MetricSet metrics, Func<string?> notReady, Func<bool> isAlive)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(endpoint);
        });
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        app.MapGet("/metrics", (RequestDelegate)(context =>
        {
            context.Response.ContentType = PrometheusText.ContentType;
            return context.Response.WriteAsync(metrics.ToPrometheus(), context.RequestAborted);
        }));
        app.MapGet("/health/live", (RequestDelegate)(context => AnswerAsync(
            context, isAlive() ? null : "the engine broke")));
        app.MapGet("/health/ready", (RequestDelegate)(context => AnswerAsync(context, notReady())));
        try
        {
            await app.StartAsync();
            return app;
        }
        catch (Exception e) when (e is SocketException or IOException { InnerException: AddressInUseException })
        {
            await app.DisposeAsync();
            throw new KreweException(
                ErrorCode.PortInUse, $"--metrics {endpoint}: {e.Message} Choose another port.", innerException: e);
        }
    }

    private static Task AnswerAsync(HttpContext context, string? trouble)
    {
        if (trouble is not null) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsync(trouble ?? "ok", context.RequestAborted);
    }
}
