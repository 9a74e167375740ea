using System.CommandLine;
using System.Globalization;
using Krewe.Abstractions;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>The options of <c>krewe bench handoff</c>; its second process gets the same.</summary>
internal sealed class HandoffSettings
{
    private static readonly HandoffBenchSettings Usual = new();

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Measure the time to the first token with this model too.");

    private readonly UsualOption<int> _threads = Setting.Count(
        "--threads", "Compute threads of each of the two processes.", Usual.Threads, 1, 1024);

    private readonly UsualOption<int> _promptTokens = Setting.Count(
        "--prompt-tokens", "Tokens of the prompt; 16 are 2 MiB without a model.", Usual.PromptTokens, 2, 1 << 20);

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Most tokens that one step computes.", Usual.StepTokens, 1, 1 << 20);

    private readonly UsualOption<int> _repeats = Setting.Count(
        "--repeats", "Rounds of each measurement; the best counts.", Usual.Repeats, 1, 1000);

    private readonly UsualOption<int> _connections = Setting.Count(
        "--data-connections", "Connections of a TCP data link.", Usual.Connections, 1,
        WorkerOptions.DataConnectionsMax);

    private readonly UsualOption<KvTransport> _transport = Setting.Choice(
        "--kv-transport", "What to measure; auto measures both.", KvTransport.Auto);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of a table." };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])
            [_model, _threads, _promptTokens, _stepTokens, _repeats, _connections, _transport, _json])
            command.Add(option);
    }

    public KvTransport Transport(ParseResult result) => _transport.Read(result);

    public bool WantsJson(ParseResult result) => result.GetValue(_json);

    public HandoffBenchSettings Read(ParseResult result) => new()
    {
        ModelDirectory = result.GetValue(_model),
        Threads = _threads.Read(result),
        PromptTokens = _promptTokens.Read(result),
        StepTokens = _stepTokens.Read(result),
        Repeats = _repeats.Read(result),
        Connections = _connections.Read(result),
    };

    public static IEnumerable<string> ToArguments(HandoffBenchSettings settings, KvTransport transport)
    {
        if (settings.ModelDirectory is { } directory) return ["--model", directory, .. Sizes(settings, transport)];
        return Sizes(settings, transport);
    }

    private static IEnumerable<string> Sizes(HandoffBenchSettings settings, KvTransport transport) =>
    [
        "--threads", Text(settings.Threads),
        "--prompt-tokens", Text(settings.PromptTokens),
        "--step-tokens", Text(settings.StepTokens),
        "--data-connections", Text(settings.Connections),
        "--kv-transport", Setting.Name(transport),
    ];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
