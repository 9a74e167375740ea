using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench soak</c>: does the gateway's memory stay flat?</summary>
internal sealed class BenchSoakCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _rate = Setting.Count("--rate", "Requests a second.", 20, 1, 10_000);
    private readonly UsualOption<int> _minutes = Setting.Count("--minutes", "How long.", 60, 1, 100_000);
    private readonly Option<bool> _leak = new("--leak")
    {
        Description = "The control: the silo forgets no ended request, which must be found.",
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    public BenchSoakCommand(Terminal terminal)
        : base("soak", "The gateway's memory under hours of small requests, before a worker that computes nothing.")
    {
        foreach (var option in (Option[])[_model, _rate, _minutes, _leak, _json]) Add(option);
        SetAction(async (result, cancellationToken) =>
        {
            using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find(), openWeights: false);
            var report = await new SoakBench(
                model, _rate.Read(result), TimeSpan.FromMinutes(_minutes.Read(result)), result.GetValue(_leak),
                terminal, TimeProvider.System).RunAsync(cancellationToken);
            if (result.GetValue(_json))
                terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.SoakReport));
            else
                Print(report, terminal);
            return ExitCode.Success;
        });
    }

    private static void Print(SoakReport report, Terminal terminal)
    {
        var (first, last) = (report.Samples[0], report.Samples[^1]);
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.Requests} requests in {last.Minutes:0.0} min, {report.Failed} not as they must be"));
        var resident = string.Create(CultureInfo.InvariantCulture,
            $"resident {first.ResidentMiB:0} to {last.ResidentMiB:0} MiB; ");
        terminal.Out.WriteLine(resident + (report.Verdict is { } verdict
            ? Describe(verdict)
            : $"too short to tell more: {SoakVerdict.SettleMinutes:0} minutes fill caches"));
    }

    private static string Describe(SoakVerdict verdict) => string.Create(
        CultureInfo.InvariantCulture,
        $"after {SoakVerdict.SettleMinutes:0} minutes {verdict.LowMiB:0} to {verdict.HighMiB:0} (band "
        + $"{SoakVerdict.BandMax:P0} of the mean), least of the second half less that of the first "
        + $"{verdict.GrowthMiB:+0.0;-0.0} (limit {SoakVerdict.GrowthMax:P0}): "
        + $"{(verdict.IsFlat ? "flat" : "NOT FLAT")}");
}
