using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench prompts</c>: long prompts through the gateway.</summary>
internal sealed class BenchPromptsCommand : Command
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _tokens = Setting.Count(
        "--prompt-tokens", "Tokens of each prompt.", 100_000, 1, 4_000_000);

    private readonly UsualOption<int> _requests = Setting.Count("--requests", "Of each kind.", 20, 1, 100_000);
    private readonly UsualOption<int> _atOnce = Setting.Count("--concurrency", "At once.", 1, 1, 1000);
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    public BenchPromptsCommand(Terminal terminal)
        : base("prompts", "Long prompts through the gateway, before a worker that computes nothing.")
    {
        foreach (var option in (Option[])[_model, _tokens, _requests, _atOnce, _json]) Add(option);
        SetAction(async (result, cancellationToken) =>
        {
            using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find(), openWeights: false);
            var report = await new LongPromptBench(
                model, _tokens.Read(result), _requests.Read(result), _atOnce.Read(result), terminal,
                TimeProvider.System).RunAsync(cancellationToken);
            if (result.GetValue(_json))
                terminal.Out.WriteLine(JsonSerializer.Serialize(report, LoadJson.Default.LongPromptReport));
            else
                Print(report, terminal);
            return ExitCode.Success;
        });
    }

    private static void Print(LongPromptReport report, Terminal terminal)
    {
        foreach (var (name, figures) in ((string, LongPromptFigures)[])[
            ("token ids", report.Ids), ("text", report.Text)])
        {
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-9} {figures.PromptTokens} tokens, {figures.BodyBytes} bytes: first token P50 "
                + $"{figures.TtftP50:0.0}, longest {figures.TtftMax:0.0} ms after sending ({report.AtOnce} at once, "
                + $"{report.Requests} requests)"));
        }

        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"silo {report.SiloMiB:0} MiB"));
    }
}
