using System.CommandLine;
using Krewe.Abstractions;
using Krewe.Silo;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe serve</c>: a silo in this process and its workers as supervised children. It ends when it is told to, or
/// when a worker is refused for good; either way no child outlives it.
/// </summary>
internal sealed class ServeCommand : Command
{
    /// <summary>The silo drains first; its workers then have nothing left to finish.</summary>
    private static readonly TimeSpan WorkerGrace = TimeSpan.FromSeconds(3);

    private readonly SiloSettings _silo = new(usualLinkPort: 0);
    private readonly EngineSettings _engine = new();
    private readonly TelemetrySettings _telemetry = new();

    private readonly Option<int?> _prefill = Setting.OptionalCount(
        "--prefill", "Prefill workers. Default 1, or 0 with --mixed.", 0, 64);

    private readonly Option<int?> _decode = Setting.OptionalCount(
        "--decode", "Decode workers. Default 1, or 0 with --mixed.", 0, 64);

    private readonly Option<int?> _mixed = Setting.OptionalCount(
        "--mixed", "Workers that do both, without a handoff. Default 0.", 0, 64);

    private readonly Terminal _terminal;

    public ServeCommand(Terminal terminal)
        : base("serve", "Serve a model on this machine: gateway, prefill and decode workers.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_prefill, _decode, _mixed]) Add(option);
        _silo.AddTo(this);
        _engine.AddTo(this);
        _telemetry.AddTo(this);
        Add(ConfigFile.Option());
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken stop)
    {
        var options = _silo.Read(result);
        var set = WorkerSet.From(result.GetValue(_prefill), result.GetValue(_decode), result.GetValue(_mixed));
        // The link port is known once the silo listens; until then any will do for checking the rest.
        var workers = DescribeWorkers(result, options, set, linkPort: 1);
        var errors = options.Validate().Concat(set.Validate()).Concat(workers.SelectMany(worker => worker.Validate()));
        if (errors.Distinct().ToArray() is { Length: > 0 } all) return _terminal.RefuseUsage(all, Name);

        using var logs = Logs.Create(result, _terminal, TimeProvider.System, options.SiloId);
        using var telemetry = _telemetry.Start(result, "krewe-silo", options.SiloId);
        await using var silo = await SiloHost.StartAsync(options, logs, TimeProvider.System, stop);
        _terminal.Say(silo.Describe());
        using var told = stop.Register(() => _terminal.Say(
            $"stopping; requests that run have {options.DrainGrace.TotalSeconds} s. A second Ctrl-C ends at once."));
        var launcher = new ChildWorkerLauncher(_terminal, TelemetrySettings.ForChildren(result, _telemetry));
        return await RunWorkersAsync(silo, set, DescribeWorkers(result, options, set, silo.LinkPort), launcher, stop);
    }

    private async Task<int> RunWorkersAsync(
        RunningSilo silo, WorkerSet set, IReadOnlyList<WorkerOptions> workers, ChildWorkerLauncher launcher,
        CancellationToken stop)
    {
        var supervisor = new WorkerSupervisor(launcher, _terminal, TimeProvider.System, WorkerGrace);
        using var endWorkers = new CancellationTokenSource();
        using var endSilo = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var running = supervisor.RunAsync(workers, endWorkers.Token);
        var announced = AnnounceAsync(silo, set, endSilo.Token);
        await Task.WhenAny(running, silo.WaitForStopAsync(endSilo.Token));
        await endSilo.CancelAsync();
        await endWorkers.CancelAsync();
        var failure = await running;
        await announced.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (failure is null) return ExitCode.Success;
        _terminal.Say($"worker {failure.WorkerId} cannot run: {failure.Message}");
        return failure.ExitCode;
    }

    private async Task AnnounceAsync(RunningSilo silo, WorkerSet set, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(OwnGateway());
        var address = Reachable(silo.HttpUrl);
        await new Readiness(http, TimeProvider.System).WaitAsync(address, cancellationToken);
        var text = $"Krewe is ready at {address}v1 (model {silo.ModelName}, {set})";
        await _terminal.Out.WriteLineAsync(text.AsMemory(), cancellationToken);
        await _terminal.Out.FlushAsync(cancellationToken);
        _terminal.Say(
            $"dashboard {address}dashboard; in another terminal 'krewe chat' and 'krewe top'; Ctrl-C ends.");
    }

    private WorkerOptions[] DescribeWorkers(ParseResult result, SiloOptions silo, WorkerSet set, int linkPort)
    {
        var link = Reachable(new UriBuilder("tcp", silo.BindHost, linkPort).Uri);
        var threads = Math.Max(1, Environment.ProcessorCount / Math.Max(1, set.Count));
        return CoreList.Deal([.. set.Members().Select((member, index) => _engine.Read(
            result,
            new WorkerOptions
            {
                WorkerId = member.Id,
                Role = member.Role,
                ModelDirectory = silo.ModelDirectory,
                ServedModelName = silo.ServedModelName,
                Silos = [$"{link.Host}:{link.Port}"],
                BlockTokens = silo.Cluster.BlockTokens,
                LinkTls = silo.LinkTls,
            },
            threads, index))]);
    }

    /// <summary>Whatever name the gateway's certificate is for, and whoever signed it: it is reached without a name,
    /// and only asked whether it is ready.</summary>
    private static SocketsHttpHandler OwnGateway() => new()
    {
        SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null },
    };

    /// <summary>A listener on every address (0.0.0.0) is reached by its own machine at 127.0.0.1.</summary>
    private static Uri Reachable(Uri address) => address.Host is "0.0.0.0" or "[::]"
        ? new UriBuilder(address) { Host = "127.0.0.1" }.Uri
        : address;
}
