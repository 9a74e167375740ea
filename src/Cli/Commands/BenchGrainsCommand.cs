using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Silo;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe bench grains</c>: what a grain call costs on this build's grain host.</summary>
internal sealed class BenchGrainsCommand : Command
{
    private readonly Terminal _terminal;
    private readonly UsualOption<int> _calls = Setting.Count("--calls", "Calls a figure.", 100_000, 6400);
    private readonly Option<string?> _redis = Setting.Text(
        "--redis", "HOST:PORT", "Two silos that meet in this Redis (Orleans host). Default: one silo.");

    public BenchGrainsCommand(Terminal terminal)
        : base("grains", "Grain calls on this build's host; over two silos with --redis.")
    {
        _terminal = terminal;
        Add(_calls);
        Add(_redis);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var logs = Logs.Create(result, _terminal, TimeProvider.System);
        var redis = result.GetValue(_redis);
        await using var first = await StartAsync("bench-0", redis, logs, cancellationToken);
        await using var second = redis is null ? null : await StartAsync("bench-1", redis, logs, cancellationToken);
        var bench = new GrainBench(first.Grains, TimeProvider.System, _calls.Read(result));
        var figures = await bench.RunAsync(cancellationToken);

        var table = new Table().AddColumns(
            $"{SiloHost.GrainHostName}, {(second is null ? 1 : 2)} silo(s)", "calls/s", "P50 us", "P99 us");
        foreach (var row in figures)
        {
            table.AddRow(
                row.What, row.CallsPerSecond.ToString("N0", CultureInfo.InvariantCulture), Us(row.P50Us),
                Us(row.P99Us));
        }

        _terminal.Ansi().Write(table);
        return ExitCode.Success;
    }

    private static Task<RunningSilo> StartAsync(
        string id, string? redis, ILoggerFactory logs, CancellationToken cancellationToken) => SiloHost.StartAsync(
        new SiloOptions
        {
            SiloId = id,
            HttpPort = FreePort(),
            LinkPort = FreePort(),
            SiloPort = FreePort(),
            ModelDirectory = BundledModel.Find(),
            RedisConnection = redis,
            ClusterId = $"bench-{Environment.ProcessId}",
        },
        logs, TimeProvider.System, cancellationToken);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Us(double value) => value.ToString("0.0", CultureInfo.InvariantCulture);
}
