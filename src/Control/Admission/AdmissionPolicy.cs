using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Control.Admission;

/// <summary>What the silo's door knows.</summary>
public sealed record AdmissionSnapshot
{
    /// <summary>Requests that this silo holds, admitted and not ended.</summary>
    public required int OpenRequests { get; init; }

    public required int MaxRequests { get; init; }

    /// <summary>The silo is going down.</summary>
    public required bool Draining { get; init; }

    /// <summary>Ready workers that take prefill, and that take decode; a mixed one counts in both.</summary>
    public required int PrefillWorkers { get; init; }

    public required int DecodeWorkers { get; init; }

    /// <summary>Requests of the one who asks that are inside; null when there is one tenant, who may fill the silo.
    /// </summary>
    public int? TenantRequests { get; init; }

    /// <summary>Its own limit; null = none.</summary>
    public int? TenantMaxRequests { get; init; }

    /// <summary>Requests that ended per second lately; null when not known.</summary>
    public double? EndedPerSecond { get; init; }
}

/// <summary>A policy's answer: <see cref="Admitted"/> or <see cref="Refused"/>.</summary>
public abstract record AdmissionDecision;

/// <summary>Let in.</summary>
public sealed record Admitted : AdmissionDecision;

/// <summary>Refused at the door.</summary>
/// <param name="RetryAfter">Whole seconds, for the Retry-After header.</param>
public sealed record Refused(ErrorCode Code, string Message, TimeSpan RetryAfter) : AdmissionDecision;

/// <summary>Who is let in. A refusal at the door is cheaper for everybody than a missed deadline.</summary>
public static class AdmissionPolicy
{
    /// <summary>A worker that died is back, or replaced, after about this long.</summary>
    private const int WorkerReturnSeconds = 2;

    /// <summary>A silo that drains does not come back: the client finds another, or this one's successor.</summary>
    private const int DrainSeconds = 5;

    private const int RetryAfterSecondsMax = 60;

    public static AdmissionDecision Decide(AdmissionSnapshot snapshot)
    {
        if (snapshot.Draining)
        {
            return new Refused(ErrorCode.Draining,
                "This silo is shutting down and takes no new requests; send it again to another one or a little later.",
                TimeSpan.FromSeconds(DrainSeconds));
        }

        if (snapshot.PrefillWorkers == 0 || snapshot.DecodeWorkers == 0)
        {
            var missing = (snapshot.PrefillWorkers, snapshot.DecodeWorkers) switch
            {
                (0, 0) => "prefill and decode",
                (0, _) => "prefill",
                _ => "decode",
            };
            return new Refused(ErrorCode.NoWorkers,
                $"No worker that takes {missing} is ready; start one, or try again when it is back.",
                TimeSpan.FromSeconds(WorkerReturnSeconds));
        }

        if (snapshot.TenantRequests >= snapshot.TenantMaxRequests)
        {
            return new Refused(ErrorCode.RateLimited,
                string.Create(CultureInfo.InvariantCulture,
                    $"{snapshot.TenantRequests} requests of yours are running or waiting; your limit is "
                    + $"{snapshot.TenantMaxRequests} at once. Send the next when one has ended."),
                TimeSpan.FromSeconds(1));
        }

        // One that floods takes half of the places and leaves half, two take two thirds: nobody can fill the silo
        // (dynamic thresholds; Choudhury and Hahne, 1998).
        if (snapshot.TenantRequests is > 0 and var own && own >= snapshot.MaxRequests - snapshot.OpenRequests)
        {
            return new Refused(ErrorCode.Overloaded,
                string.Create(CultureInfo.InvariantCulture,
                    $"{own} requests of yours wait here; the places that are left are for others. Try again when some "
                    + $"have ended."),
                UntilRoom(snapshot));
        }

        if (snapshot.OpenRequests < snapshot.MaxRequests)
            return new Admitted();
        var wait = UntilRoom(snapshot);
        return new Refused(ErrorCode.Overloaded,
            string.Create(CultureInfo.InvariantCulture,
                $"This silo holds {snapshot.OpenRequests} requests of at most {snapshot.MaxRequests}; try again in "
                + $"{wait.TotalSeconds:0} s."),
            wait);
    }

    /// <summary>When a place will be free if requests go on ending as they did.</summary>
    private static TimeSpan UntilRoom(AdmissionSnapshot snapshot)
    {
        var ahead = Math.Max(1, snapshot.OpenRequests - snapshot.MaxRequests + 1);
        var seconds = snapshot.EndedPerSecond is { } rate && rate > 0 ? Math.Ceiling(ahead / rate) : 1;
        return TimeSpan.FromSeconds(Math.Clamp(seconds, 1, RetryAfterSecondsMax));
    }
}
