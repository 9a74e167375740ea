using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The options that the scenarios of <c>krewe bench</c> share: a model on a local engine.</summary>
internal sealed class ScenarioSettings
{
    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads. Default: the cores.", 1, 1024);

    private readonly UsualOption<long> _kvMemory = Setting.Bytes("--kv-memory", "KV memory.", 512L << 20);

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object instead of text." };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_model, _threads, _kvMemory, _json]) command.Add(option);
    }

    public string ModelFolder(ParseResult result) => result.GetValue(_model) ?? BundledModel.Find();

    public bool WantsJson(ParseResult result) => result.GetValue(_json);

    public WorkerOptions Read(ParseResult result, string modelDirectory) => new()
    {
        WorkerId = "bench",
        Role = WorkerRole.Mixed,
        ModelDirectory = modelDirectory,
        Silos = [],
        Threads = result.GetValue(_threads) ?? Environment.ProcessorCount,
        KvMemoryBytes = _kvMemory.Read(result),
    };
}
