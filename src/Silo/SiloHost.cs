using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Control.Routing;
using Krewe.Grains;
using Krewe.Silo.Access;
using Krewe.Silo.Batches;
using Krewe.Silo.Cluster;
using Krewe.Silo.Dashboard;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;
using Krewe.Silo.Kv;
using Krewe.Silo.Links;
using Krewe.Silo.Recording;
using Krewe.Silo.Streams;
using Krewe.Silo.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo;

/// <summary>
/// The silo process: REST gateway, grain host, worker links. Composition root; signals, children and the terminal are
/// the caller's.
/// </summary>
public static class SiloHost
{
    /// <summary>Which grain host this build has: Embedded (one silo) or Orleans (a cluster).</summary>
    public static string GrainHostName => GrainHost.Name;

    /// <summary>A client that takes longer for its headers holds a connection for nothing.</summary>
    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Idle connections cost some kilobytes each; health checks must come through all the same.</summary>
    private const long ConnectionsMin = 16_384;

    private const string HttpPortName = "HTTP port";

    private const double ReaderBytesPerSecond = 16 << 10;

    /// <summary>
    /// Runs a silo until <paramref name="stop"/>, then drains it. Prints its settings and address, or one clear line
    /// for each error. Returns the exit code: 0 stopped, 1 failure, 2 invalid options, 3 invalid model, 4 port in use.
    /// </summary>
    /// <param name="options">Settings; checked here.</param>
    /// <param name="output">Where the settings and the address are printed.</param>
    /// <param name="errors">Where errors are printed.</param>
    /// <param name="loggers">Where it logs; null = nowhere.</param>
    /// <param name="time">Null = the system's.</param>
    /// <param name="stop">Cancelled by the caller, for instance on SIGTERM.</param>
    public static async Task<int> RunAsync(
        SiloOptions options,
        TextWriter output,
        TextWriter errors,
        ILoggerFactory? loggers = null,
        TimeProvider? time = null,
        CancellationToken stop = default)
    {
        try
        {
            await using var silo = await StartAsync(options, loggers, time, stop);
            await output.WriteLineAsync(silo.Describe());
            await silo.WaitForStopAsync(stop);
            return 0;
        }
        catch (KreweException e)
        {
            await errors.WriteLineAsync(e.Message);
            return ExitCodeOf(e.Code);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
    }

    /// <summary>
    /// Starts a silo; it takes requests and workers when this returns. Throws <see cref="KreweException"/> with
    /// InvalidOptions (every error at once, one a line), InvalidModel, PortInUse or StateUnavailable (no Redis); then
    /// nothing stays open.
    /// </summary>
    public static async Task<RunningSilo> StartAsync(
        SiloOptions options,
        ILoggerFactory? loggers = null,
        TimeProvider? time = null,
        CancellationToken cancellationToken = default)
    {
        var mistakes = GrainHost.Mistakes(options).Concat(options.Validate()).ToList();
        if (options.RoutingPolicy is { } name && !RoutingPolicies.Names.Contains(name))
        {
            mistakes.Add(
                $"No routing policy '{name}'; give --policy one of {string.Join(", ", RoutingPolicies.Names)}.");
        }

        if (mistakes.Count > 0)
            throw new KreweException(ErrorCode.InvalidOptions, string.Join(Environment.NewLine, mistakes));

        var model = ServedModel.Open(options);
        WebApplication? app = null;
        try
        {
            BindFailure.ThrowIfTaken(HttpPortName, options.BindHost, options.HttpPort);
            BindFailure.ThrowIfTaken("link port", options.BindHost, options.LinkPort);
            await GrainHost.PrepareAsync(options, loggers, time ?? TimeProvider.System, cancellationToken);
            app = Build(options, model, loggers, time ?? TimeProvider.System);
            await StartGatewayAsync(app, options, cancellationToken);
            app.Services.GetRequiredService<LinkListener>().Start();
            return new RunningSilo(app, options);
        }
        catch (Exception e)
        {
            // The container owns the model once it exists.
            if (app is null)
                model.Dispose();
            else
                await app.DisposeAsync();
            // The grain host says in a way of its own that its start was called off.
            if (cancellationToken.IsCancellationRequested && e is not KreweException)
                throw new OperationCanceledException("The start was called off.", e, cancellationToken);
            throw;
        }
    }

    /// <summary>The exit code for an error that stops a start.</summary>
    public static int ExitCodeOf(ErrorCode code) => code switch
    {
        ErrorCode.InvalidOptions => 2,
        ErrorCode.InvalidModel => 3,
        ErrorCode.PortInUse => 4,
        _ => 1,
    };

    private static WebApplication Build(
        SiloOptions options, ServedModel model, ILoggerFactory? loggers, TimeProvider time)
    {
        // Empty: neither files nor variables of the surroundings decide what this process does.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        // Inline: a request goes on where its bytes were read, and its answer is sent by whoever wrote it. Nothing here
        // blocks a thread, so that the two hops in between would only cost the time of two threads waking up.
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true)
            .ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxRequestBytes;
            kestrel.Limits.RequestHeadersTimeout = HeadersTimeout;
            // The server grants a write the time that its bytes take at this rate, and what earlier writes were faster:
            // at its usual 240 bytes a second a megabyte would wait for a dead reader for more than an hour.
            kestrel.Limits.MinResponseDataRate = new MinDataRate(ReaderBytesPerSecond, options.ReaderPatience);
            kestrel.Limits.MaxConcurrentConnections = Math.Max(
                ConnectionsMin, 4L * options.Cluster.MaxRequestsPerSilo);
            kestrel.Listen(
                IPAddress.Parse(options.BindHost), options.HttpPort, listen => GatewayTls.Use(listen, options));
        });
        if (options.TlsCertificate is not null) builder.WebHost.UseKestrelHttpsConfiguration();
        var services = builder.Services;
        services.AddRoutingCore();
        services.AddLogging();
        if (loggers is not null) services.AddSingleton(loggers);
        services.Configure<HostOptions>(host => host.ShutdownTimeout = GrainHost.ShutdownTimeout);
        services.AddSingleton<IHostLifetime, CallerLifetime>();
        services.AddSingleton(time);
        services.AddSingleton(options);
        services.AddSingleton(options.Cluster);
        services.AddSingleton(_ => model);
        services.AddSingleton(new Entropy(() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)))));
        AddLinks(services);
        AddAccess(services);
        if (options.CorsOrigins.Count > 0) services.AddCors();
        AddGateway(services);
        TelemetryServices.Add(services);
        AddDashboard(services);
        services.AddSingleton(new DecisionLog());
        services.AddSingleton(new PoolPolicy());
        services.AddSingleton<DecisionEndpoints>();
        services.AddSingleton<KubernetesScaler>();
        services.AddSingleton<RoleSwitcher>();
        services.AddHostedService<PoolAdvisor>();
        GrainHost.Add(builder, options);
        services.AddSingleton(RoutingPolicies.Create(
            options.RoutingPolicy ?? RoutingPolicies.Default,
            BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)))));
        // Behind the grain host: it stops before it.
        services.AddHostedService(provider => provider.GetRequiredService<BatchRunner>());
        services.AddKreweGrains(new GrainOptions
        {
            SiloId = options.SiloId,
            RecordKeep = options.RecordKeep,
            AnswerKeep = options.ResumeWindow > options.RecordKeep ? options.ResumeWindow : options.RecordKeep,
            TtftSlo = options.TtftSlo,
            TpotSlo = options.TpotSlo,
        });

        var app = builder.Build();
        TelemetryServices.UseResponseCount(app);
        app.UseMiddleware<ErrorMiddleware>();
        if (options.CorsOrigins.Count > 0) app.UseCors(policy => Cors.Allow(policy, options.CorsOrigins));
        app.UseMiddleware<AccessMiddleware>();
        GatewayRoutes.Map(
            app,
            app.Services.GetRequiredService<GenerateEndpoints>(),
            app.Services.GetRequiredService<ResumeEndpoint>(),
            app.Services.GetRequiredService<InfoEndpoints>(),
            app.Services.GetRequiredService<TokenEndpoints>(),
            app.Services.GetRequiredService<ServerEndpoints>(),
            app.Services.GetRequiredService<ClusterEndpoints>());
        app.Services.GetRequiredService<DecisionEndpoints>().Map(app);
        app.Services.GetRequiredService<AuditLog>().Map(app);
        TelemetryServices.Map(app);
        app.Services.GetRequiredService<DashboardEndpoints>().Map(app);
        OrleansPage.Map(app);
        app.Services.GetRequiredService<FileEndpoints>().Map(app);
        app.Services.GetRequiredService<BatchEndpoints>().Map(app);
        return app;
    }

    private static void AddLinks(IServiceCollection services)
    {
        services.AddSingleton<StreamCounters>();
        services.AddSingleton<RequestStreams>();
        services.AddSingleton<ClusterView>();
        services.AddSingleton<IClusterView>(provider => provider.GetRequiredService<ClusterView>());
        services.AddSingleton<IAttemptPort, AttemptPort>();
        services.AddSingleton<IKvPort, KvPort>();
        services.AddSingleton<IKvFeed, KvGrainFeed>();
        services.AddSingleton<IKvFeed, PrefixDirectoryFeed>();
        services.AddSingleton<IMigrationPort, MigrationPort>();
        services.AddSingleton<HelloPolicy>();
        services.AddSingleton<LinkListener>();
        services.AddSingleton<MigrationAgent>();
        services.AddHostedService(provider => provider.GetRequiredService<MigrationAgent>());
    }

    private static void AddAccess(IServiceCollection services)
    {
        services.AddSingleton<KeyRing>();
        services.AddHostedService(provider => provider.GetRequiredService<KeyRing>());
        services.AddSingleton<AuditLog>();
    }

    private static void AddDashboard(IServiceCollection services)
    {
        services.AddSingleton<SnapshotRing>();
        services.AddSingleton<SnapshotSampler>();
        services.AddHostedService(provider => provider.GetRequiredService<SnapshotSampler>());
        services.AddSingleton<DashboardEndpoints>();
    }

    private static void AddGateway(IServiceCollection services)
    {
        services.AddSingleton<Door>();
        services.AddSingleton<TraceRecorder>();
        services.AddSingleton<BodyMemory>();
        services.AddSingleton<DispatchLine>();
        services.AddSingleton<RequestReader>();
        services.AddSingleton<Generator>();
        services.AddSingleton<AnswerKinds>();
        services.AddSingleton<AnswerRuns>();
        services.AddSingleton<KeptAnswers>();
        services.AddSingleton<PeerGateway>();
        services.AddSingleton<ResumeEndpoint>();
        services.AddSingleton<ReadinessProbe>();
        services.AddSingleton<GenerateEndpoints>();
        services.AddSingleton<InfoEndpoints>();
        services.AddSingleton<ClusterEndpoints>();
        services.AddSingleton<TokenEndpoints>();
        services.AddSingleton<ServerEndpoints>();
        services.AddSingleton<StoredFiles>();
        services.AddSingleton<FileEndpoints>();
        services.AddSingleton<BatchEndpoints>();
        services.AddSingleton<BatchRunner>();
    }

    private static async Task StartGatewayAsync(
        WebApplication app, SiloOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception e) when (e is AddressInUseException or IOException { InnerException: AddressInUseException }
            or SocketException)
        {
            throw BindFailure.Of(HttpPortName, options.BindHost, options.HttpPort, e);
        }
    }

    /// <summary>The caller says when to stop: this host must not take signals for itself.</summary>
    private sealed class CallerLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
