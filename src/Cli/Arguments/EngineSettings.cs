using System.CommandLine;
using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>
/// The options of a worker's engine: for <c>worker</c>, and for <c>serve</c>, which passes them on to its children.
/// What <see cref="ToArguments"/> writes, <see cref="Read"/> reads back.
/// </summary>
internal sealed class EngineSettings
{
    private static readonly WorkerOptions Usual = new()
    {
        WorkerId = "usual",
        Role = WorkerRole.Mixed,
        ModelDirectory = "",
        Silos = [],
    };

    private readonly UsualOption<WorkerDevice> _device = Setting.Choice("--device", "What computes.", Usual.Device);

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads of a worker. Default: the cores, shared by the workers started here.", 1, 1024);

    private readonly UsualOption<long> _kvMemory = Setting.Bytes(
        "--kv-memory", "KV memory of a worker.", Usual.KvMemoryBytes);

    private readonly Option<KvFormat?> _kvFormat = Setting.OptionalChoice<KvFormat>(
        "--kv-format", "Number format of keys and values. Default: the checkpoint's.");

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Most tokens that one step computes.", Usual.StepBudgetTokens, 1);

    private readonly UsualOption<int> _maxRunning = Setting.Count(
        "--max-running", "Most sequences in one step.", Usual.MaxRunningSequences, 1);

    private readonly Option<bool> _noPrefixCache = new("--no-prefix-cache")
    {
        Description = "Do not keep KV blocks for later requests with the same prefix.",
    };

    private readonly UsualOption<KvTransport> _kvTransport = Setting.Choice(
        "--kv-transport", "How KV travels between workers: auto takes shared memory where it can.", Usual.KvTransport);

    private readonly Option<string?> _holdFile = new("--test-hold-file") { Hidden = true };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_device, _threads, _kvMemory, _kvFormat, _stepTokens, _maxRunning,
            _noPrefixCache, _kvTransport, _holdFile])
            command.Add(option);
    }

    /// <summary><paramref name="basis"/> with what the command line says; <paramref name="usualThreads"/> when it says
    /// nothing of threads.</summary>
    public WorkerOptions Read(ParseResult result, WorkerOptions basis, int usualThreads) => basis with
    {
        Device = _device.Read(result),
        Threads = result.GetValue(_threads) ?? usualThreads,
        KvMemoryBytes = _kvMemory.Read(result),
        KvFormat = result.GetValue(_kvFormat),
        StepBudgetTokens = _stepTokens.Read(result),
        MaxRunningSequences = _maxRunning.Read(result),
        PrefixCache = !result.GetValue(_noPrefixCache),
        KvTransport = _kvTransport.Read(result),
        TestHoldFile = result.GetValue(_holdFile),
    };

    public static IEnumerable<string> ToArguments(WorkerOptions options)
    {
        List<string> arguments =
        [
            "--device", Setting.Name(options.Device),
            "--threads", Text(options.Threads),
            "--kv-memory", options.KvMemoryBytes.ToString(CultureInfo.InvariantCulture),
            "--step-tokens", Text(options.StepBudgetTokens),
            "--max-running", Text(options.MaxRunningSequences),
            "--kv-transport", Setting.Name(options.KvTransport),
        ];
        if (options.KvFormat is { } format) arguments.AddRange(["--kv-format", Setting.Name(format)]);
        if (!options.PrefixCache) arguments.Add("--no-prefix-cache");
        if (options.TestHoldFile is { } file) arguments.AddRange(["--test-hold-file", file]);
        return arguments;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
