using System.Diagnostics.CodeAnalysis;

namespace Orleans.Runtime;

/// <summary>A running timer of a grain; disposing it stops it.</summary>
public interface IGrainTimer : IDisposable
{
    void Change(TimeSpan dueTime, TimeSpan period);
}

/// <summary>When a timer fires and how its callback meets requests.</summary>
public readonly struct GrainTimerCreationOptions
{
    public GrainTimerCreationOptions()
    {
    }

    [SetsRequiredMembers]
    public GrainTimerCreationOptions(TimeSpan dueTime, TimeSpan period)
    {
        DueTime = dueTime;
        Period = period;
    }

    /// <summary>Until the first tick; infinite = not started.</summary>
    public required TimeSpan DueTime { get; init; }

    /// <summary>From the end of one tick to the start of the next; infinite = one tick only.</summary>
    public required TimeSpan Period { get; init; }

    /// <summary>A tick may run amid a request. Default: it waits its turn like a request.</summary>
    public bool Interleave { get; init; }

    /// <summary>A tick counts as use of the activation. Default: an activation with timers can go idle.</summary>
    public bool KeepAlive { get; init; }
}
