using System.CommandLine;
using System.Text.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary><c>krewe bench reuse</c>: what the prefix cache does for a conversation's second turn.</summary>
internal sealed class BenchReuseCommand : Command
{
    private readonly ScenarioSettings _settings = new();

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of the first turn.", 2000, 1, 1 << 20);

    private readonly UsualOption<int> _newTokens = Setting.Count(
        "--new-tokens", "Tokens that the second turn adds.", 40, 1, 1 << 20);

    private readonly Terminal _terminal;

    public BenchReuseCommand(Terminal terminal)
        : base("reuse", "Two turns of a conversation: time to the first token of each, and whether tokens agree.")
    {
        _terminal = terminal;
        _settings.AddTo(this);
        foreach (var option in (Option[])[_promptTokens, _newTokens]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        using var model = ModelFolder.Open(_settings.ModelFolder(result));
        using var logs = Logs.Create(result, _terminal, time);
        var run = new ReuseRun(
            model, _settings.Read(result, model.Directory), _promptTokens.Read(result), _newTokens.Read(result), time);
        var report = await run.MeasureAsync(logs.CreateLogger("Krewe.Engine"), cancellationToken);
        if (_settings.WantsJson(result))
            _terminal.Out.WriteLine(JsonSerializer.Serialize(report, ScenarioJson.Default.ReuseReport));
        else
            Print(report);
        return report.SameTokens ? ExitCode.Success : ExitCode.Failure;
    }

    private void Print(ReuseReport report)
    {
        _terminal.Out.WriteLine(
            $"{report.Model}, {report.Threads} threads: first token of a turn of {report.FirstTurnTokens} tokens "
            + $"after {report.FirstTtftMs:0.0} ms");
        _terminal.Out.WriteLine(
            $"second turn, {report.SecondTurnTokens} tokens: {report.SecondTtftMs:0.0} ms, {report.Ratio:P1} of the "
            + $"first's; without the cache {report.SecondTtftWithoutCacheMs:0.0} ms");
        _terminal.Out.WriteLine(report.SameTokens ? "same tokens with and without" : "THE TOKENS DIFFER");
    }
}
