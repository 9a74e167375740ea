using System.CommandLine;
using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary><c>krewe replay</c>: sends a recorded trace again, as it came.</summary>
internal sealed class ReplayCommand : Command
{
    private readonly Argument<string> _file = new("file")
    {
        Description = "Trace that --record wrote, or another in --format.",
        Validators = { result => Setting.DemandFile(result, "The trace", result.Tokens[0].Value) },
    };

    private readonly UsualOption<TraceFormat> _format = Setting.Choice(
        "--format", "How to read it.", TraceFormat.Krewe);

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model of a server of its own. Default: the bundled model.");

    private readonly Option<int?> _concurrency = Setting.OptionalCount(
        "--concurrency", "Most requests at once; those held back count their waiting. Default: no limit.", 1);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    private readonly LoadSettings _load = new();
    private readonly Terminal _terminal;

    public ReplayCommand(Terminal terminal)
        : base("replay", "Send a recorded trace to a server and measure its answers.")
    {
        _terminal = terminal;
        Add(_file);
        foreach (var option in (Option[])[_format, _model, _concurrency, _json]) Add(option);
        _load.AddTo(this);
        SetAction((result, cancellationToken) => _load.RunAsync(
            result, result.GetValue(_file)!, _format.Read(result),
            () => result.GetValue(_model) ?? BundledModel.Find(), result.GetValue(_concurrency), result.GetValue(_json),
            _terminal, cancellationToken));
    }
}
