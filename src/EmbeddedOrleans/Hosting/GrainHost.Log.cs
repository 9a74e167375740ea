using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

internal static partial class GrainHostLog
{
    [LoggerMessage(1, LogLevel.Error, "{Grain} could not be activated")]
    public static partial void ActivationFailed(this ILogger log, Exception error, GrainId grain);

    [LoggerMessage(2, LogLevel.Error, "{Grain} ended, but not cleanly")]
    public static partial void DeactivationFailed(this ILogger log, Exception error, GrainId grain);

    [LoggerMessage(3, LogLevel.Error, "A timer callback of {Grain} failed; the timer goes on")]
    public static partial void TimerCallbackFailed(this ILogger log, Exception error, GrainId grain);

    [LoggerMessage(4, LogLevel.Warning, "The one-way call {Call} failed; its caller does not wait for it")]
    public static partial void OneWayCallFailed(this ILogger log, Exception error, string call);

    [LoggerMessage(5, LogLevel.Warning, "Stopped with {Count} grains still busy")]
    public static partial void StoppedWithBusyGrains(this ILogger log, int count);
}
