using Krewe.Abstractions;
using Microsoft.Extensions.Logging;

namespace Krewe.Grains;

internal static partial class WorkerGrainLog
{
    [LoggerMessage(1, LogLevel.Warning, "{Count} leases on worker {WorkerId} are void: {Reason}")]
    public static partial void LeasesVoided(this ILogger log, string workerId, int count, string reason);

    [LoggerMessage(2, LogLevel.Warning, "The lease of {Key} for {Blocks} blocks on {WorkerId} expired unrenewed")]
    public static partial void LeaseExpired(this ILogger log, string workerId, SequenceKey key, int blocks);
}
