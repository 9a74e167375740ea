using Krewe.Abstractions;

namespace Krewe.Workers;

internal sealed partial class Engine
{
    [LoggerMessage(LogLevel.Critical, "The engine broke; the worker stops, its blocks cannot be trusted any more.")]
    private static partial void LogBroken(ILogger logger, Exception error);

    [LoggerMessage(LogLevel.Warning, "Step 4-7: {Key} failed with {Code}: {Reason}")]
    private static partial void LogFailed(ILogger logger, SequenceKey key, ErrorCode code, string reason);

    [LoggerMessage(LogLevel.Information, "{Key} was started twice; the second start is ignored.")]
    private static partial void LogDuplicate(ILogger logger, SequenceKey key);

    [LoggerMessage(LogLevel.Information, "{Key} is older than what runs here; its start is ignored.")]
    private static partial void LogStale(ILogger logger, SequenceKey key);

    [LoggerMessage(LogLevel.Debug, "{Key} was preempted; {Tokens} tokens will be computed again.")]
    private static partial void LogPreempted(ILogger logger, SequenceKey key, int tokens);
}
