using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe bench handoff</c>: KV from another process into this one, beside what a raw socket and memcpy do with as
/// many bytes in the same run.
/// </summary>
internal sealed class BenchHandoffCommand : Command
{
    private readonly HandoffSettings _settings = new();
    private readonly Terminal _terminal;

    public BenchHandoffCommand(Terminal terminal)
        : base("handoff", "KV from one process to another, beside a raw socket and memcpy.")
    {
        _terminal = terminal;
        _settings.AddTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var logs = Logs.Create(result, _terminal, TimeProvider.System);
        var logger = logs.CreateLogger("Krewe.Handoff");
        var settings = _settings.Read(result);
        var synthetic = settings with { ModelDirectory = null };
        List<TransportFigures> transports = [];
        List<TtftFigures> times = [];
        foreach (var transport in Chosen(_settings.Transport(result)))
        {
            transports.Add(await WithSourceAsync(
                synthetic, transport, logger, bench => bench.MeasureThroughputAsync(cancellationToken)));
            if (settings.ModelDirectory is null) continue;
            times.Add(await WithSourceAsync(
                settings, transport, logger, bench => bench.MeasureTtftAsync(cancellationToken)));
        }

        var report = new HandoffReport { Transports = transports, TimeToFirstToken = times };
        if (_settings.WantsJson(result))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, HandoffJson.Default.HandoffReport));
        else
            report.Print(_terminal);
        return ExitCode.Success;
    }

    private static KvTransport[] Chosen(KvTransport transport) =>
        transport == KvTransport.Auto ? [KvTransport.Tcp, KvTransport.Shared] : [transport];

    private async Task<T> WithSourceAsync<T>(
        HandoffBenchSettings settings, KvTransport transport, ILogger logger,
        Func<HandoffBenchmark, Task<T>> measure)
    {
        using var source = Process.Start(OwnProgram.With(
            ["bench", BenchHandoffSourceCommand.FixedName, .. HandoffSettings.ToArguments(settings, transport)]))!;
        source.ErrorDataReceived += (_, line) =>
        {
            if (!string.IsNullOrEmpty(line.Data)) _terminal.Error.WriteLine($"[source] {line.Data}");
        };
        source.BeginErrorReadLine();
        try
        {
            return await measure(new HandoffBenchmark(
                settings, transport, source.StandardInput.WriteLine, HearAsync, TimeProvider.System, logger));
        }
        finally
        {
            // The end of its input ends it; what does not listen is killed.
            source.StandardInput.Close();
            if (!source.WaitForExit(TimeSpan.FromSeconds(5))) source.Kill();
        }

        async Task<string> HearAsync() => await source.StandardOutput.ReadLineAsync()
            ?? throw new KreweException(ErrorCode.Internal, "The second process ended; see what it said before.");
    }
}

/// <summary>The second process of <c>krewe bench handoff</c>.</summary>
internal sealed class BenchHandoffSourceCommand : Command
{
    public const string FixedName = "handoff-source";

    private readonly HandoffSettings _settings = new();
    private readonly Terminal _terminal;

    public BenchHandoffSourceCommand(Terminal terminal)
        : base(FixedName, "The second process of bench handoff.")
    {
        Hidden = true;
        _terminal = terminal;
        _settings.AddTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var logs = Logs.Create(result, _terminal, TimeProvider.System);
        await HandoffBenchSource.RunAsync(
            _settings.Read(result), _settings.Transport(result), _terminal.In, _terminal.Out, TimeProvider.System,
            logs.CreateLogger("Krewe.Handoff"), cancellationToken);
        return ExitCode.Success;
    }
}
