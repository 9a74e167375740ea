using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench gateway</c>: what a silo adds to a worker that takes no time.</summary>
internal sealed class BenchGatewayCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _rate = Setting.Count("--rate", "Requests a second.", 200, 1, 1_000_000);
    private readonly UsualOption<int> _streams = Setting.Count(
        "--streams", "Streams at once; 0 = latency only.", 2000, 0, 100_000);

    private readonly Option<string?> _nginx = Setting.Text(
        "--nginx", "PROGRAM", "Measure it beside this, with the same bytes. Default: not.");

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    public BenchGatewayCommand(Terminal terminal)
        : base("gateway", "The gateway alone, before a worker that computes nothing.")
    {
        foreach (var option in (Option[])[_model, _rate, _streams, _nginx, _json]) Add(option);
        SetAction(async (result, cancellationToken) =>
        {
            using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find(), openWeights: false);
            var report = await new GatewayBench(
                model, _rate.Read(result), _streams.Read(result), result.GetValue(_nginx), terminal,
                TimeProvider.System).RunAsync(cancellationToken);
            if (result.GetValue(_json))
                terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.GatewayBenchReport));
            else
                Print(report, terminal);
            return ExitCode.Success;
        });
    }

    private static void Print(GatewayBenchReport report, Terminal terminal)
    {
        foreach (var line in (string[])
        [
            Text($"{report.Rate:0} requests/s: first token P50 {report.FirstP50:0.00}, P95 {report.FirstP95:0.00}, "),
            Text($"  P99 {report.FirstP99:0.00} ms after sending; of a bare web server P50 {report.EchoP50:0.00}, "),
            Text($"  P95 {report.EchoP95:0.00}, P99 {report.EchoP99:0.00} ms; added P50 {report.AddedP50:0.00}, "),
            Text($"  P95 {report.AddedP95:0.00} ms"),
        ])
            terminal.Out.WriteLine(line);
        if (report.Streams == 0) return;
        foreach (var line in (string[])
        [
            Text($"{report.StreamsWhole} of {report.Streams} streams at once whole; a token in 100 ms came in "),
            Text($"  {report.StreamGapP50:0.0} (P50), {report.StreamGapP99:0.0} ms (P99); silo {report.SiloMiB:0} MiB"),
            Text($"{report.TokensPerSecond:0} tokens/s; nginx with the same bytes {report.ProxyTokensPerSecond:0}: "),
            Text($"  {report.OfProxy:0.00} of it"),
        ])
            terminal.Out.WriteLine(line);

        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }
}

/// <summary>The bench's own worker process.</summary>
internal sealed class BenchGatewayWorkerCommand : Command
{
    private readonly Option<string> _model = new("--model") { Required = true };
    private readonly Option<string> _silo = new("--silo") { Required = true };

    public BenchGatewayWorkerCommand()
        : base("gateway-worker", "A worker that computes nothing.")
    {
        Hidden = true;
        Add(_model);
        Add(_silo);
        SetAction(async (result, cancellationToken) =>
        {
            using var model = ModelFolder.Open(result.GetValue(_model)!, openWeights: false);
            await new MockEngine(model, result.GetValue(_silo)!, TimeProvider.System).RunAsync(cancellationToken);
            return ExitCode.Success;
        });
    }
}

/// <summary>The bench's own server behind nginx.</summary>
internal sealed class BenchGatewaySourceCommand : Command
{
    private readonly Option<string> _body = new("--body") { Required = true };
    private readonly Option<int> _port = new("--port") { Required = true };

    public BenchGatewaySourceCommand()
        : base("gateway-source", "The same bytes to everybody.")
    {
        Hidden = true;
        Add(_body);
        Add(_port);
        SetAction(async (result, cancellationToken) =>
        {
            var body = await File.ReadAllBytesAsync(result.GetValue(_body)!, cancellationToken);
            await new ByteSource(body).RunAsync(result.GetValue(_port), cancellationToken);
            return ExitCode.Success;
        });
    }
}

/// <summary>The bench's own bare web server: it answers every request with four tokens.</summary>
internal sealed class BenchGatewayEchoCommand : Command
{
    private readonly Option<int> _port = new("--port") { Required = true };

    public BenchGatewayEchoCommand()
        : base("gateway-echo", "The same four events to everybody.")
    {
        Hidden = true;
        Add(_port);
        SetAction(async (result, cancellationToken) =>
        {
            await EchoServer.RunAsync(result.GetValue(_port), cancellationToken);
            return ExitCode.Success;
        });
    }
}
