using Krewe.Abstractions;

namespace Krewe.Workers;

public sealed partial class WorkerHost
{
    [LoggerMessage(LogLevel.Information,
        "{Options}; silos {Silos}; computes {Numerics}; KV {Geometry}, {Blocks} blocks; data port {DataPort}; "
        + "incarnation {Incarnation:X16}.")]
    private static partial void LogResolved(
        ILogger logger, WorkerOptions options, string silos, NumericsFingerprint numerics, KvGeometry geometry,
        int blocks, int dataPort, ulong incarnation);

    [LoggerMessage(LogLevel.Information, "Takes no new work; what runs may finish within {Seconds} s.")]
    private static partial void LogDraining(ILogger logger, double seconds);

    [LoggerMessage(LogLevel.Information, "The worker was {From} and is {To} from now on.")]
    private static partial void LogRole(ILogger logger, WorkerRole from, WorkerRole to);

    [LoggerMessage(LogLevel.Warning, "{Sequences} sequences were still running when the grace was over; they are cut.")]
    private static partial void LogCut(ILogger logger, int sequences);
}
