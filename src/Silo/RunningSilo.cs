using System.Globalization;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Hosting;
using Krewe.Silo.Links;
using Krewe.Silo.Streams;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Orleans;

namespace Krewe.Silo;

/// <summary>
/// A silo that was started. Disposing of it stops it at once, and requests that still run end with the error Draining;
/// <see cref="WaitForStopAsync"/> drains it first.
/// </summary>
public sealed class RunningSilo : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly SiloOptions _options;
    private int _isDisposed;

    internal RunningSilo(WebApplication app, SiloOptions options)
    {
        (_app, _options) = (app, options);
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
        HttpUrl = new Uri(addresses.Addresses.Single());
        LinkPort = app.Services.GetRequiredService<LinkListener>().Port;
    }

    /// <summary>For instance http://127.0.0.1:8080/ .</summary>
    public Uri HttpUrl { get; }

    /// <summary>The bound port of the REST gateway.</summary>
    public int HttpPort => HttpUrl.Port;

    /// <summary>The bound port where workers connect.</summary>
    public int LinkPort { get; }

    /// <summary>What clients call the model.</summary>
    public string ModelName => Services.GetRequiredService<ServedModel>().Name;

    /// <summary>The grains of its cluster.</summary>
    public IGrainFactory Grains => Services.GetRequiredService<IGrainFactory>();

    internal IServiceProvider Services => _app.Services;

    private string StatePlace => _options.RedisConnection is null
        ? _options.DataDirectory ?? "in memory"
        : $"in Redis (cluster {_options.ClusterId})";

    /// <summary>The settings that decide what this silo does, as they were resolved; for the operator, once.</summary>
    public string Describe()
    {
        var cluster = _options.Cluster;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"silo {_options.SiloId}: gateway {HttpUrl}v1, links {_options.BindHost}:{LinkPort}, model {ModelName} "
            + $"from {_options.ModelDirectory}, grains {GrainHost.Name}, state "
            + $"{StatePlace}, "
            + $"heartbeat {cluster.HeartbeatInterval.TotalMilliseconds} ms, silence limit "
            + $"{cluster.LinkSilenceLimit.TotalMilliseconds} ms, handoff lease "
            + $"{cluster.HandoffLease.TotalMilliseconds} ms, "
            + $"worker wait {cluster.WorkerWaitLimit.TotalSeconds} s, attempts {cluster.MaxAttempts}, request timeout "
            + $"{cluster.RequestTimeout.TotalSeconds} s, requests at once {cluster.MaxRequestsPerSilo}, block "
            + $"{cluster.BlockTokens} tokens, drain {_options.DrainGrace.TotalSeconds} s");
    }

    /// <summary>
    /// Waits for <paramref name="stop"/>, then refuses new requests and lets running ones finish for
    /// <see cref="SiloOptions.DrainGrace"/>. The caller disposes of the silo then.
    /// </summary>
    public async Task WaitForStopAsync(CancellationToken stop)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (stop.Register(stopped.SetResult)) await stopped.Task;

        var time = Services.GetRequiredService<TimeProvider>();
        var empty = Services.GetRequiredService<Door>().DrainAsync();
        await Task.WhenAny(empty, Task.Delay(_options.DrainGrace, time, CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0) return;
        Services.GetRequiredService<RequestStreams>().FailAll(ErrorCode.Draining, "The silo shut down; send it again.");
        // Before the grain host: the worker grains are told of each link's end.
        await Services.GetRequiredService<LinkListener>().DisposeAsync();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
