using Krewe.Abstractions;
using Microsoft.Extensions.Logging;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

internal sealed partial class LinkListener
{
    [LoggerMessage(20, LogLevel.Warning, "A worker's connection could not be accepted")]
    private static partial void LogAcceptFailed(ILogger log, Exception error);

    [LoggerMessage(21, LogLevel.Warning, "A connection to the link port was closed: no hello came ({What})")]
    private static partial void LogNoHello(ILogger log, string what);

    [LoggerMessage(22, LogLevel.Error, "Worker {WorkerId} was refused, {Code}: {Message}")]
    private static partial void LogRefused(ILogger log, string workerId, ErrorCode code, string message);

    [LoggerMessage(23, LogLevel.Warning, "Worker {Worker} is gone, {Code}: {Reason}. Its requests go on elsewhere")]
    private static partial void LogDetached(ILogger log, WorkerIncarnation worker, ErrorCode code, string reason);

    [LoggerMessage(24, LogLevel.Debug, "Worker {Worker} sent {Kind} for request {RequestId}, which it was not given")]
    private static partial void LogStrayEvent(
        ILogger log, WorkerIncarnation worker, Wire.SequenceEventKind kind, string? requestId);

    [LoggerMessage(25, LogLevel.Error, "A worker's link failed on this side and was closed")]
    private static partial void LogLinkFailed(ILogger log, Exception error);

    [LoggerMessage(26, LogLevel.Warning, "A link was refused before its hello: {Reason}")]
    private static partial void LogNotSecured(ILogger log, string reason);

    [LoggerMessage(27, LogLevel.Information, "Worker {Worker} is linked and takes {Role}")]
    private static partial void LogAttached(ILogger log, WorkerIncarnation worker, WorkerRole role);

    [LoggerMessage(28, LogLevel.Information, "Worker {Worker} has left: it was stopped, and nothing was lost")]
    private static partial void LogLeft(ILogger log, WorkerIncarnation worker);
}
