using System.CommandLine;
using System.Globalization;
using System.Net;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>
/// The options of a worker's engine: for <c>worker</c>, and for <c>serve</c>, which passes them on to its children.
/// What <see cref="ToArguments"/> writes, <see cref="Read"/> reads back.
/// </summary>
internal sealed class EngineSettings
{
    /// <summary>Ten tokens a second: text appears faster than it is read.</summary>
    private const int UsualSloItlMs = 100;

    private const long BytesPerMbit = 125_000;

    private static readonly WorkerOptions Usual = new()
    {
        WorkerId = "usual",
        Role = WorkerRole.Mixed,
        ModelDirectory = "",
        Silos = [],
    };

    private readonly UsualOption<WorkerDevice> _device = Setting.Choice("--device", "What computes.", Usual.Device);

    private readonly CudaSettings _cuda = new();

    private readonly Option<int?> _threads = Setting.OptionalCount(
        "--threads", "Compute threads of a worker. Default: the cores, shared by the workers started here.", 1, 1024);

    private readonly Option<int[]?> _pin = CoreList.Option(
        "--pin", "Cores to bind compute threads to, one a thread; dealt to the workers started here in turn.");

    private readonly UsualOption<ServedWeights> _weights = Setting.Choice(
        "--weights", "Weights as stored, or rounded to INT8 at load.", Usual.Weights);

    private readonly UsualOption<long> _kvMemory = Setting.Bytes(
        "--kv-memory", "KV memory of a worker.", Usual.KvMemoryBytes);

    private readonly Option<KvFormat?> _kvFormat = Setting.OptionalChoice<KvFormat>(
        "--kv-format", "Number format of keys and values. Default: the checkpoint's.");

    private readonly UsualOption<int> _stepTokens = Setting.Count(
        "--step-tokens", "Most tokens that one step computes.", Usual.StepBudgetTokens, 1);

    private readonly UsualOption<int> _sloItl = Setting.Count(
        "--slo-itl", "Longest gap between two tokens of a stream that a prefill may cause, ms; 0: no limit.",
        UsualSloItlMs, 0, 3_600_000);

    private readonly UsualOption<EvictionPolicy> _eviction = Setting.Choice(
        "--eviction", "What the prefix cache gives up first.", Usual.Eviction);

    private readonly UsualOption<int> _maxRunning = Setting.Count(
        "--max-running", "Most sequences in one step.", Usual.MaxRunningSequences, 1);

    private readonly Option<bool> _noPrefixCache = new("--no-prefix-cache")
    {
        Description = "Do not keep KV blocks for later requests with the same prefix.",
    };

    private readonly UsualOption<TimeSpan> _drainGrace = Setting.Seconds(
        "--drain-grace", "How long a worker's sequences may take to finish or to move elsewhere after SIGTERM.",
        Usual.DrainGrace);

    private readonly Option<bool> _blockingMigration = new("--blocking-migration") { Hidden = true };

    private readonly UsualOption<KvTransport> _kvTransport = Setting.Choice(
        "--kv-transport", "How KV travels between workers: auto takes shared memory where it can.", Usual.KvTransport);

    private readonly Option<string?> _kvShareFolder = Setting.Text(
        "--kv-share-folder", "DIR", "Folder that workers in other containers of this host see too: there they "
        + "open each other's KV memory.");

    private readonly Option<int?> _dataLinkMbit = Setting.OptionalCount(
        "--data-link-mbit", "Most Mbit a second that one TCP data link may send. Default: no limit.", 1, 10_000_000);

    private readonly UsualOption<int> _dataConnections = Setting.Count(
        "--data-connections", "Connections of one TCP data link, for large transfers; each takes a thread on either "
        + "side.", Usual.DataConnections, 1, WorkerOptions.DataConnectionsMax);

    private readonly Option<IPEndPoint?> _metrics = Setting.OptionalEndpoint(
        "--metrics", "Where a worker answers GET /metrics and its health checks; of several workers the first, the "
        + "others take the next ports. Default: nowhere.");

    private readonly TierSettings _tiers = new();

    private readonly Option<string?> _holdFile = new("--test-hold-file") { Hidden = true };

    private readonly Option<IPEndPoint?> _dataProxy = Setting.OptionalEndpoint(
        "--test-data-proxy", "Where outgoing data links go instead.");

    private readonly Option<double?> _rowMicroseconds = new("--test-row-us") { Hidden = true };

    public void AddTo(Command command)
    {
        AddLocalTo(command);
        foreach (var option in (Option[])[_sloItl, _maxRunning, _kvTransport, _kvShareFolder, _dataLinkMbit,
            _dataConnections, _drainGrace, _metrics, _blockingMigration, _holdFile, _dataProxy, _rowMicroseconds])
            command.Add(option);
        _dataProxy.Hidden = true;
        _cuda.AddLinkedTo(command);
        _tiers.AddTo(command);
    }

    /// <summary>Those that mean something to an engine without links and tiers.</summary>
    public void AddLocalTo(Command command)
    {
        foreach (var option in (Option[])[_device, _threads, _pin, _weights, _kvMemory, _kvFormat, _stepTokens,
            _eviction, _noPrefixCache])
            command.Add(option);
        _cuda.AddTo(command);
    }

    /// <summary><paramref name="basis"/> with what the command line says; <paramref name="usualThreads"/> when it says
    /// nothing of threads; <paramref name="index"/> of the workers that are started together.</summary>
    public WorkerOptions Read(ParseResult result, WorkerOptions basis, int usualThreads, int index = 0) => basis with
    {
        Device = _device.Read(result),
        Cuda = _cuda.Read(result),
        Threads = result.GetValue(_threads) ?? usualThreads,
        PinnedCores = result.GetValue(_pin) ?? [],
        Weights = _weights.Read(result),
        KvMemoryBytes = _kvMemory.Read(result),
        KvFormat = result.GetValue(_kvFormat),
        StepBudgetTokens = _stepTokens.Read(result),
        InterTokenSlo = _sloItl.Read(result) is var ms and > 0 ? TimeSpan.FromMilliseconds(ms) : null,
        MaxRunningSequences = _maxRunning.Read(result),
        Eviction = _eviction.Read(result),
        PrefixCache = !result.GetValue(_noPrefixCache),
        DrainGrace = _drainGrace.Read(result),
        BlockingMigration = result.GetValue(_blockingMigration),
        KvTransport = _kvTransport.Read(result),
        KvShareFolder = result.GetValue(_kvShareFolder),
        DataLinkBytesPerSecond = result.GetValue(_dataLinkMbit) is { } mbit ? mbit * BytesPerMbit : null,
        DataConnections = _dataConnections.Read(result),
        KvTiers = _tiers.Read(result),
        Metrics = result.GetValue(_metrics) is { } first ? new IPEndPoint(first.Address, first.Port + index) : null,
        TestHoldFile = result.GetValue(_holdFile),
        TestDataProxy = result.GetValue(_dataProxy),
        TestRowTime = result.GetValue(_rowMicroseconds) is { } us ? TimeSpan.FromMicroseconds(us) : null,
    };

    public static IEnumerable<string> ToArguments(WorkerOptions options)
    {
        List<string> arguments =
        [
            "--device", Setting.Name(options.Device),
            "--threads", Text(options.Threads),
            "--weights", Setting.Name(options.Weights),
            "--kv-memory", options.KvMemoryBytes.ToString(CultureInfo.InvariantCulture),
            "--step-tokens", Text(options.StepBudgetTokens),
            "--slo-itl", Text((int)(options.InterTokenSlo?.TotalMilliseconds ?? 0)),
            "--max-running", Text(options.MaxRunningSequences),
            "--eviction", Setting.Name(options.Eviction),
            "--drain-grace", options.DrainGrace.TotalSeconds.ToString(CultureInfo.InvariantCulture),
            "--kv-transport", Setting.Name(options.KvTransport),
            "--data-connections", Text(options.DataConnections),
        ];
        if (options.KvShareFolder is { } share) arguments.AddRange(["--kv-share-folder", share]);
        if (options.PinnedCores.Count > 0) arguments.AddRange(["--pin", string.Join(',', options.PinnedCores)]);
        if (options.KvFormat is { } format) arguments.AddRange(["--kv-format", Setting.Name(format)]);
        if (!options.PrefixCache) arguments.Add("--no-prefix-cache");
        arguments.AddRange(CudaSettings.ToArguments(options.Cuda));
        arguments.AddRange(TierSettings.ToArguments(options.KvTiers));
        if (options.Metrics is { } metrics) arguments.AddRange(["--metrics", metrics.ToString()]);
        if (options.BlockingMigration) arguments.Add("--blocking-migration");
        if (options.DataLinkBytesPerSecond is { } rate)
            arguments.AddRange(["--data-link-mbit", Text((int)(rate / BytesPerMbit))]);
        if (options.TestDataProxy is { } proxy) arguments.AddRange(["--test-data-proxy", proxy.ToString()]);
        if (options.TestHoldFile is { } file) arguments.AddRange(["--test-hold-file", file]);
        if (options.TestRowTime is { } rowTime)
        {
            arguments.AddRange(
                ["--test-row-us", rowTime.TotalMicroseconds.ToString(CultureInfo.InvariantCulture)]);
        }

        return arguments;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
