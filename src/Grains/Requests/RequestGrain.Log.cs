using Krewe.Abstractions;
using Microsoft.Extensions.Logging;

namespace Krewe.Grains;

internal static partial class RequestGrainLog
{
    [LoggerMessage(1, LogLevel.Error, "The record of request {RequestId} could not be written; it is tried again")]
    public static partial void RecordNotWritten(this ILogger log, Exception error, string requestId);

    [LoggerMessage(5, LogLevel.Information, "The record of request {RequestId} was written at last")]
    public static partial void RecordWrittenAtLast(this ILogger log, string requestId);

    [LoggerMessage(6, LogLevel.Warning, "The record of request {RequestId} is old and could not be deleted")]
    public static partial void RecordNotForgotten(this ILogger log, Exception error, string requestId);

    [LoggerMessage(2, LogLevel.Error, "Request {RequestId} cannot see workers change; it looks again by its clock")]
    public static partial void WatchFailed(this ILogger log, Exception error, string requestId);

    [LoggerMessage(3, LogLevel.Warning, "The lease of request {RequestId} on {Worker} was not answered")]
    public static partial void LeaseNotAnswered(
        this ILogger log, Exception error, string requestId, WorkerIncarnation worker);

    [LoggerMessage(4, LogLevel.Warning, "The lease of request {RequestId} on {Worker} was not released; it expires")]
    public static partial void LeaseNotReleased(
        this ILogger log, Exception error, string requestId, WorkerIncarnation worker);
}
