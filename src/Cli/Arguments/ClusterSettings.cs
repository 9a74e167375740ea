using System.CommandLine;
using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The options of <see cref="ClusterOptions"/>, for the commands that start a silo.</summary>
internal sealed class ClusterSettings
{
    private static readonly ClusterOptions Usual = new();

    private readonly UsualOption<TimeSpan> _heartbeat = Setting.Seconds(
        "--heartbeat", "Both ends of a worker link send at least this often.", Usual.HeartbeatInterval);

    private readonly UsualOption<TimeSpan> _silence = Setting.Seconds(
        "--silence-limit", "A worker link without a byte for this long is given up.", Usual.LinkSilenceLimit);

    private readonly UsualOption<TimeSpan> _lease = Setting.Seconds(
        "--handoff-lease", "Life of a KV hold without a sign from its other end.", Usual.HandoffLease);

    private readonly UsualOption<TimeSpan> _workerWait = Setting.Seconds(
        "--worker-wait", "How long a request that lost its worker waits for another.", Usual.WorkerWaitLimit);

    private readonly UsualOption<TimeSpan> _requestTimeout = Setting.Seconds(
        "--request-timeout", "A request that is not finished by then ends with an error.", Usual.RequestTimeout);

    private readonly UsualOption<int> _maxAttempts = Setting.Count(
        "--max-attempts", "Attempts of one request before it ends with an error.", Usual.MaxAttempts, 1, 100);

    private readonly UsualOption<int> _maxRequests = Setting.Count(
        "--max-requests", "Requests that are in the silo at once; more are refused.", Usual.MaxRequestsPerSilo, 1);

    private readonly UsualOption<int> _blockTokens = Setting.Count(
        "--block-tokens", "Token slots of one KV block, a multiple of 16.", Usual.BlockTokens, 16, 256);

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_heartbeat, _silence, _lease, _workerWait, _requestTimeout, _maxAttempts,
            _maxRequests, _blockTokens])
            command.Add(option);
    }

    /// <summary>The command line that gives exactly these options.</summary>
    public static IReadOnlyList<string> ToArguments(ClusterOptions options) =>
    [
        "--heartbeat", Seconds(options.HeartbeatInterval),
        "--silence-limit", Seconds(options.LinkSilenceLimit),
        "--handoff-lease", Seconds(options.HandoffLease),
        "--worker-wait", Seconds(options.WorkerWaitLimit),
        "--request-timeout", Seconds(options.RequestTimeout),
        "--max-attempts", options.MaxAttempts.ToString(CultureInfo.InvariantCulture),
        "--max-requests", options.MaxRequestsPerSilo.ToString(CultureInfo.InvariantCulture),
        "--block-tokens", options.BlockTokens.ToString(CultureInfo.InvariantCulture),
    ];

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString(CultureInfo.InvariantCulture);

    public ClusterOptions Read(ParseResult result) => new()
    {
        HeartbeatInterval = _heartbeat.Read(result),
        LinkSilenceLimit = _silence.Read(result),
        HandoffLease = _lease.Read(result),
        WorkerWaitLimit = _workerWait.Read(result),
        RequestTimeout = _requestTimeout.Read(result),
        MaxAttempts = _maxAttempts.Read(result),
        MaxRequestsPerSilo = _maxRequests.Read(result),
        BlockTokens = _blockTokens.Read(result),
    };
}
