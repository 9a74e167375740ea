using System.CommandLine;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>
/// What loading a server with a trace needs beside the trace: for <c>bench serving --trace</c> and <c>replay</c>.
/// </summary>
internal sealed class LoadSettings
{
    private const string KeyVariable = "KREWE_API_KEY";

    private readonly Option<Uri?> _url = new("--url")
    {
        Description = "Server to load. Default: a 'krewe serve' of its own.",
        HelpName = "URL",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https") return url;
            result.AddError($"--url is '{text}'; it must look like http://127.0.0.1:8080.");
            return null;
        },
    };

    private readonly Option<float?> _rate = Setting.OptionalNumber(
        "--rate", "Requests a second; the trace's own without it, for pairs 1.", 1e-6f, 1e6f);

    private readonly Option<int?> _requests = Setting.OptionalCount(
        "--requests", "Only the first N; for pairs how many to draw, 200 without it.", 1);

    private readonly Option<TimeSpan?> _ttft = Setting.OptionalSeconds(
        "--slo-ttft", "Limit of a good request's first token, from when it was due. Default 2.");

    private readonly Option<TimeSpan?> _tpot = Setting.OptionalSeconds(
        "--slo-tpot", "Limit of a good request's mean further token. Default 0.1.");

    private readonly UsualOption<int> _vocabulary = Setting.Count(
        "--vocabulary", "Prompts are of token ids below this.", 1000, 2);

    private readonly UsualOption<int> _seed = Setting.Count("--seed", "Everything drawn follows from it.", 1, 0);

    private readonly Option<string?> _csv = Setting.Text("--csv", "FILE", "Write one line a request there.");

    private readonly Option<string?> _plot = Setting.Text("--plot", "FILE", "Draw the latencies there, as SVG.");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_url, _rate, _requests, _ttft, _tpot, _vocabulary, _seed, _csv, _plot])
            command.Add(option);
    }

    /// <summary>Loads the server and prints what came of it.</summary>
    /// <param name="model">Finds the model of a server of its own; not asked where a server is given.</param>
    /// <param name="concurrency">Null = as many at once as are due.</param>
    public async Task<int> RunAsync(
        ParseResult result, string path, TraceFormat format, Func<string> model, int? concurrency, bool json,
        Terminal terminal, CancellationToken cancellationToken)
    {
        var trace = Read(result, path, format);
        await using var own = result.GetValue(_url) is null
            ? await BenchCluster.StartAsync(["--model", model()], terminal, cancellationToken)
            : null;
        using var http = new HttpClient
        {
            BaseAddress = own?.Http.BaseAddress ?? Root(result.GetValue(_url)!),
            Timeout = Timeout.InfiniteTimeSpan,
        };
        var key = Environment.GetEnvironmentVariable(KeyVariable);
        var plan = LoadPlan.Of(
            trace, await ContextAsync(http, key, cancellationToken), _vocabulary.Read(result), _seed.Read(result), key);
        var outcomes = await SendAsync(http, plan, concurrency, terminal, cancellationToken);
        var report = TraceRunReport.Of(
            trace.Name, outcomes, result.GetValue(_ttft) ?? TimeSpan.FromSeconds(2),
            result.GetValue(_tpot) ?? TimeSpan.FromSeconds(0.1));
        if (result.GetValue(_csv) is { } csv)
            await File.WriteAllTextAsync(csv, TraceRunReport.ToCsv(outcomes), cancellationToken);
        if (result.GetValue(_plot) is { } plot)
            await File.WriteAllTextAsync(plot, TraceRunReport.ToPlot(trace.Name, outcomes), cancellationToken);
        if (json)
            terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.TraceRunReport));
        else
            Print(report, terminal);
        return ExitCode.Success;
    }

    private Trace Read(ParseResult result, string path, TraceFormat format)
    {
        var (seed, rate) = ((ulong)_seed.Read(result), (double?)result.GetValue(_rate));
        var trace = TraceReader.Read(path, format, seed);
        if (format == TraceFormat.Pairs)
            return Arrivals.Draw(trace, rate ?? 1, cv: 1, result.GetValue(_requests) ?? 200, seed);
        if (result.GetValue(_requests) is { } count) trace = trace.Take(count);
        return rate is { } wanted && trace.RatePerSecond > 0 ? trace.Faster(wanted / trace.RatePerSecond) : trace;
    }

    /// <summary>With a bar on a terminal.</summary>
    private static async Task<LoadOutcome[]> SendAsync(
        HttpClient http, List<LoadRequest> plan, int? concurrency, Terminal terminal,
        CancellationToken cancellationToken)
    {
        LoadOutcome[] outcomes = [];
        await terminal.AnsiError().Progress().StartAsync(async progress =>
        {
            var task = progress.AddTask("requests", maxValue: plan.Count);
            outcomes = await new OpenLoop(http, TimeProvider.System, concurrency).RunAsync(
                plan, _ => task.Increment(1), cancellationToken);
        });
        return outcomes;
    }

    /// <summary>Prompt and output tokens together that the server takes.</summary>
    private static async Task<int> ContextAsync(HttpClient http, string? key, CancellationToken cancellationToken)
    {
        if (key is not null) http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        using var answer = await http.GetAsync("v1/models", cancellationToken);
        if (!answer.IsSuccessStatusCode)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions,
                $"{http.BaseAddress} answered {(int)answer.StatusCode} to GET /v1/models; a key is taken from "
                + $"{KeyVariable}.");
        }

        var models = await answer.Content.ReadFromJsonAsync(
            LoadJson.Default.JsonElement, cancellationToken);
        return models.GetProperty("data")[0].TryGetProperty("max_model_len", out var length)
            ? length.GetInt32()
            : int.MaxValue;
    }

    /// <summary>As people write it, with or without v1.</summary>
    private static Uri Root(Uri url)
    {
        var text = url.AbsoluteUri.TrimEnd('/');
        return new Uri((text.EndsWith("/v1", StringComparison.Ordinal) ? text[..^3] : text) + "/");
    }

    private static void Print(TraceRunReport report, Terminal terminal)
    {
        var figures = report.Figures;
        foreach (var line in (string[])
        [
            Text($"{report.Trace}: {figures.Whole} of {figures.Requests} answered in {report.Seconds:0.0} s, "),
            Text($"  {figures.Refused} refused, {figures.Failed} failed; sent up to {report.LateMs:0.0} ms late (P99)"),
            Text($"  {report.RequestsPerSecond:0.00} requests/s, {report.OutputTokensPerSecond:0.0} output tokens/s"),
            Text($"  TTFT ms     P50 {figures.TtftP50:0.0}  P90 {figures.TtftP90:0.0}  P99 {figures.TtftP99:0.0}"),
            Text($"  TPOT ms     P50 {figures.TpotP50:0.00}  P99 {figures.TpotP99:0.00}"),
            Text($"  latency ms  P50 {figures.LatencyP50:0.0}  P99 {figures.LatencyP99:0.0}"),
            Text($"  goodput     {report.Goodput:0.00} requests/s: {report.GoodShare:P1} with a first token within "),
            Text($"              {report.SloTtftMs:0} ms and further ones within {report.SloTpotMs:0} ms"),
        ])
            terminal.Out.WriteLine(line);

        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
    }
}
