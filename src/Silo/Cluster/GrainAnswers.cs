using Krewe.Abstractions;
using Orleans.Runtime;

namespace Krewe.Silo.Cluster;

/// <summary>Asks grains that may have been on a silo that just died.</summary>
internal static class GrainAnswers
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(150);

    /// <summary>Longer than the cluster takes to notice a dead silo, shorter than a client waits.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Asks until the grain answers; it is made anew elsewhere when its silo is known to be dead. For questions, which
    /// may be asked twice. Throws <see cref="KreweException"/> (StateUnavailable) when nobody answers.
    /// </summary>
    public static async Task<T> AskAsync<T>(Func<Task<T>> question, TimeProvider time)
    {
        var begun = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await question();
            }
            catch (Exception e) when (IsOfHost(e))
            {
                if (time.GetElapsedTime(begun) >= Patience) throw Unavailable(e);
            }

            await Task.Delay(Pause, time, CancellationToken.None);
        }
    }

    /// <summary>The grain host could not do it: a silo died, or its storage is away. Not what a grain throws.</summary>
    public static bool IsOfHost(Exception error) =>
        error is OrleansException or TimeoutException or OperationCanceledException;

    /// <summary>What a client that is still there is told of an error; null where others must say it.</summary>
    public static KreweException? AsError(Exception error, CancellationToken clientLeft) =>
        error as KreweException
        ?? (IsOfHost(error) && !clientLeft.IsCancellationRequested ? Unavailable(error) : null);

    /// <summary>What a client is told of it: 503, and when to come again.</summary>
    public static KreweException Unavailable(Exception error) => new(
        ErrorCode.StateUnavailable,
        "The cluster cannot take this in at the moment: a silo, or the storage of requests' records, is away. Send it "
        + "again in a moment.",
        innerException: error)
    {
        RetryAfter = TimeSpan.FromSeconds(2),
    };
}
