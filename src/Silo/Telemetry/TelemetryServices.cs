using System.Globalization;
using Krewe.Control.Access;
using Krewe.Control.Metrics;
using Krewe.Silo.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Orleans;

namespace Krewe.Silo.Telemetry;

/// <summary>Adds metrics and traces to a silo, and maps GET /metrics.</summary>
internal static class TelemetryServices
{
    public static void Add(IServiceCollection services)
    {
        services.AddSingleton<SiloMetrics>();
        services.AddSingleton<SiloGauges>();
        services.AddSingleton<RecentRequests>();
        services.AddSingleton<RequestWatches>();
        services.AddSingleton<GrainCallMeter>();
        services.AddSingleton<IIncomingGrainCallFilter>(
            provider => provider.GetRequiredService<GrainCallMeter>());
        services.AddSingleton<GrainCensus>();
        services.AddHostedService(provider => provider.GetRequiredService<GrainCensus>());
    }

    public static void Map(WebApplication app)
    {
        app.Services.GetRequiredService<SiloGauges>().Register();
        var metrics = app.Services.GetRequiredService<SiloMetrics>();
        app.MapGet("/metrics", (RequestDelegate)(context => WriteAsync(context, metrics.Set)))
            .RequireRole(AccessRoles.Operator);
    }

    /// <summary>Counts responses by status; around everything else, so that errors have theirs.</summary>
    public static void UseResponseCount(WebApplication app)
    {
        var responses = app.Services.GetRequiredService<SiloMetrics>().Responses;
        app.Use(async (context, next) =>
        {
            await next(context);
            responses.Of(context.Response.StatusCode.ToString(CultureInfo.InvariantCulture)).Add();
        });
    }

    private static Task WriteAsync(HttpContext context, MetricSet set)
    {
        context.Response.ContentType = PrometheusText.ContentType;
        return context.Response.WriteAsync(set.ToPrometheus(), context.RequestAborted);
    }
}
